//! Limits the requests in progress. Requests over the limit get 503 immediately: letting them wait would slow
//! everyone down, and cost memory for each.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::web::http::guarded_body::Holding;

/// The middleware. A request counts until its response is complete.
pub(crate) async fn in_flight(State(room): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(permit) = room.try_acquire_owned() else {
        tracing::warn!("refused: too many requests are in progress");
        return come_back();
    };
    next.run(request).await.map(|body| Body::new(Holding::new(body, permit)))
}

/// The response to a request over the limit.
pub(super) fn come_back() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, HeaderValue::from_static("1"))]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt;

    #[tokio::test]
    async fn what_is_beyond_the_bound_is_told_to_come_back() {
        let room = Arc::new(Semaphore::new(1));
        let router = Router::new().route("/", get(|| async { "answer" })).layer(from_fn_with_state(room, in_flight));
        let ask = || router.clone().oneshot(Request::builder().uri("/").body(Body::empty()).unwrap());
        let first = ask().await.unwrap();
        assert_eq!(first.status(), 200);
        let beyond = ask().await.unwrap();
        assert_eq!(
            (beyond.status(), &beyond.headers()[header::RETRY_AFTER]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from_static("1"))
        );
        assert_eq!(axum::body::to_bytes(first.into_body(), 100).await.unwrap(), "answer");
        assert_eq!(ask().await.unwrap().status(), 200, "the first is over");
    }
}
