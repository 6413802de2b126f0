//! The API client that sends a request: extracts and checks the API key.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::problems::failed;
use crate::{
    service::{
        access::caller::{Caller, Origin},
        api_keys::authenticate::KeyCheck,
    },
    web::{
        http::{client_address::ClientAddress, problem::Problem},
        middleware::request_id::RequestId,
        proxy::{bearer, unauthorized},
        state::WebState,
    },
};

/// The caller of an API request. The extractor rejects requests without a usable key.
pub(crate) struct ApiCaller(pub(crate) Caller);

impl FromRequestParts<WebState> for ApiCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let Some(key) = bearer(&parts.headers) else {
            let detail = "Send the header Authorization: Bearer with a Keytile API key (kt_…).";
            return Err(unauthorized("key_missing", detail));
        };
        let origin = Origin {
            address: parts.extensions.get::<ClientAddress>().map(ToString::to_string).unwrap_or_default(),
            request: parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned()).unwrap_or_default(),
        };
        match state.service.authenticate_key(key, origin).await.map_err(failed)? {
            KeyCheck::Accepted(caller) => Ok(Self(caller)),
            KeyCheck::Rejected(_) => Err(unauthorized(
                "key_rejected",
                "This API key is unknown, revoked or expired, or its account is disabled. Use another key.",
            )),
        }
    }
}
