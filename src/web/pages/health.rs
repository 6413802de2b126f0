//! What is asked by whoever watches over the process. Says nothing about what is stored.

use axum::{extract::State, http::StatusCode};

use crate::web::state::WebState;

/// `GET /healthz`: the process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the database answers too.
pub(crate) async fn ready(State(state): State<WebState>) -> (StatusCode, &'static str) {
    if state.service.is_ready().await { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
