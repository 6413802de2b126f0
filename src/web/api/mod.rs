//! `/api/v1`: the JSON API for clients with an API key. It offers the same use cases as the pages.
//!
//! A file for each kind of object. A handler takes an [`ApiCaller`](caller::ApiCaller), which only exists for a
//! usable key, and returns a body or a [`Problem`](crate::web::http::problem::Problem). It must never return a secret of a credential: no type in here
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
mod routes;
mod tokens;
mod version;

pub(super) use self::routes::routes;
pub(crate) use self::{openapi::described, problems::problems};
