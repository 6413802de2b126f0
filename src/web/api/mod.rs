//! `/api/v1`: the JSON API for clients with an API key. It offers the same use cases as the pages.
//!
//! A file for each kind of object. A handler takes an [`ApiCaller`](caller::ApiCaller), which only exists for a
//! usable key, and returns a body or a [`Problem`]. It must never return a secret of a credential: no type in here
//! can contain one.

mod audit;
mod body;
mod caller;
mod connectors;
mod credentials;
mod etag;
mod idempotency;
mod openapi;
mod problems;
mod query;
mod resources;
mod tokens;

use axum::{
    Router,
    http::StatusCode,
    routing::{any, get, post},
};

pub(crate) use self::{credentials::bodies::VerificationBody, openapi::described, problems::problems};
use super::{http::problem::Problem, state::WebState};

/// The prefix of all paths of this version.
const VERSION: &str = "/api/v1";

/// All routes of the API.
pub(super) fn routes() -> Router<WebState> {
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
        // Listed, so that no page responds to unknown paths of the API.
        .route("/api", any(unknown))
        .route("/api/", any(unknown))
        .route("/api/{*path}", any(unknown))
}

async fn unknown() -> Problem {
    let detail = "There is nothing at this address. What there is says /api/openapi.json, and /api/docs for people.";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}
