//! Gives each request an id, which its log lines, its response and its error page contain.

use std::time::Instant;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

use crate::service::auth::browser;

/// The header with the id, in requests and responses.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, stored in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl RequestId {
    /// The id that the client sent, if it is harmless, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(&REQUEST_ID).filter(|id| is_plain(id)).cloned();
        Self(given.unwrap_or_else(made))
    }

    pub(crate) fn value(&self) -> &HeaderValue {
        &self.0
    }

    pub(crate) fn into_value(self) -> HeaderValue {
        self.0
    }
}

/// A new unique id.
fn made() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = browser::new_request_id().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| unreachable!("a UUID is of letters that a header takes"))
}

/// The middleware. Logs the path but neither query nor body, because both contain input.
pub(crate) async fn request_id(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let span = tracing::info_span!("request", id = id.as_str(), method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(id.clone());
    let started = Instant::now();
    async move {
        let mut response = next.run(request).await;
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status = response.status().as_u16(), millis, "answered");
        response.headers_mut().insert(&REQUEST_ID, id.0);
        response
    }
    .instrument(span)
    .await
}

/// An id from a client is only used if it can't break a log line or a page.
fn is_plain(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=64).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Extension, Router, body::Body, routing::get};
    use tower::ServiceExt;

    async fn id_for(given: Option<&str>) -> (String, String) {
        let handler = |Extension(id): Extension<RequestId>| async move { id.as_str().to_owned() };
        let router = Router::new().route("/", get(handler)).layer(axum::middleware::from_fn(request_id));
        let mut request = Request::builder().uri("/");
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let header = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        (header, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_id_is_made_or_taken_over() {
        let (header, seen) = id_for(None).await;
        assert_eq!(header, seen);
        assert_eq!(header.len(), 36);
        assert_ne!(id_for(None).await.0, header);
        assert_eq!(id_for(Some("edge-7.a_b")).await, ("edge-7.a_b".into(), "edge-7.a_b".into()));
    }

    #[tokio::test]
    async fn an_id_that_could_disturb_a_log_is_replaced() {
        for given in ["", "a b", "<b>", "a\"b", &"x".repeat(65)] {
            assert_ne!(id_for(Some(given)).await.0, given);
        }
    }
}
