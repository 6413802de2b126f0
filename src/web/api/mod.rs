//! `/api/v1`: what programs ask with an API key, as JSON. Another door to the same use cases as the pages.
//!
//! A file each kind of thing. A handler takes an [`ApiCaller`](caller::ApiCaller), which is there only for a key that
//! may be used, and answers with a body or with a [`Problem`]. Never with the secret of a credential: no type in here
//! has one to show.

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
