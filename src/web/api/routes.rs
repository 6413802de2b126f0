//! Which handler answers which address of the API.

use axum::{
    Router,
    http::StatusCode,
    routing::{any, get, post},
};

use super::{audit, connectors, credentials, openapi, resources, tokens};
use crate::web::{http::problem::Problem, state::WebState};

/// All routes of the API.
pub(in crate::web) fn routes() -> Router<WebState> {
    Router::new()
        .route("/api/v1/connectors", get(connectors::read::list))
        .route("/api/v1/connectors/{id}", get(connectors::read::read))
        .route("/api/v1/credentials", get(credentials::read::list).post(credentials::write::create))
        .route(
            "/api/v1/credentials/{id}",
            get(credentials::read::read).patch(credentials::write::update).delete(credentials::write::delete),
        )
        .route("/api/v1/credentials/{id}/test", post(credentials::verifications::test))
        .route("/api/v1/credentials/{id}/verifications", get(credentials::verifications::list))
        .route("/api/v1/resources", get(resources::read::list).post(resources::write::create))
        .route(
            "/api/v1/resources/{id}",
            get(resources::read::read).patch(resources::write::update).delete(resources::write::delete),
        )
        .route("/api/v1/resources/{id}/token", post(tokens::issue))
        .route("/api/v1/verify", post(credentials::verify::verify))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/openapi.json", get(openapi::description))
        // Named, so that no page answers for what is not there.
        .route("/api", any(unknown))
        .route("/api/", any(unknown))
        .route("/api/{*path}", any(unknown))
}

async fn unknown() -> Problem {
    let detail = "There is nothing at this address. See /api/docs or /api/openapi.json for all addresses.";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}
