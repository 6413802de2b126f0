//! Counts requests and how long they took, by the pattern of their route.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use crate::web::state::WebState;

/// What stands for the route of a request that no route answers: the address itself is up to whoever asks.
const NO_ROUTE: &str = "none";

/// The middleware.
pub(crate) async fn measured(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let (route, method) = (request.extensions().get::<MatchedPath>().cloned(), request.method().clone());
    let begun = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    state.service.metrics().routes.answered(route, method.as_str(), response.status().as_u16(), begun.elapsed());
    response
}
