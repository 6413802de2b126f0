//! `/api/v1`: what programs ask with an API key, as JSON. Another door to the same use cases as the pages.
//!
//! A file each kind of thing. A handler takes an [`ApiCaller`](caller::ApiCaller), which is there only for a key that
//! may be used, and answers with a body or with a [`Problem`]. Never with the secret of a credential: no type in here
//! has one to show.

mod audit;
mod body;
mod caller;
mod conditions;
mod connectors;
mod credential_bodies;
mod credential_changes;
mod credentials;
mod fields_schema;
mod idempotency;
mod openapi;
mod problems;
mod query;
mod resource_bodies;
mod resource_changes;
mod resources;
mod token;
mod verifications;
mod verify;

use axum::{
    Router,
    http::StatusCode,
    routing::{any, get, post},
};

pub(crate) use self::{credential_bodies::VerificationBody, openapi::described, problems::problems};
use super::{problem::Problem, state::WebState};

/// What the addresses of this version begin with.
const VERSION: &str = "/api/v1";

/// All routes of the API.
pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/api/v1/connectors", get(connectors::list))
        .route("/api/v1/connectors/{id}", get(connectors::read))
        .route("/api/v1/credentials", get(credentials::list).post(credential_changes::create))
        .route(
            "/api/v1/credentials/{id}",
            get(credentials::read).patch(credential_changes::update).delete(credential_changes::delete),
        )
        .route("/api/v1/credentials/{id}/test", post(verifications::test))
        .route("/api/v1/credentials/{id}/verifications", get(verifications::list))
        .route("/api/v1/resources", get(resources::list).post(resource_changes::create))
        .route("/api/v1/resources/{id}", get(resources::read).patch(resource_changes::update).delete(resource_changes::delete))
        .route("/api/v1/resources/{id}/token", post(token::issue))
        .route("/api/v1/verify", post(verify::verify))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/openapi.json", get(openapi::description))
        // Named, so that no page answers for what is not there.
        .route("/api", any(unknown))
        .route("/api/", any(unknown))
        .route("/api/{*path}", any(unknown))
}

async fn unknown() -> Problem {
    let detail = "There is nothing at this address. What there is says /api/openapi.json, and /api/docs for people.";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}
