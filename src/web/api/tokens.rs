//! Access tokens for API clients that call a service directly.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body::{OptionalBody, seconds},
    caller::ApiCaller,
    problems::{failed, no_such},
    query::{ApiId, wrong},
};
use crate::{
    service::tokens::issue::TokenIssue,
    web::{http::problem::Problem, proxy::without_token, state::WebState},
};

/// The longest validity that can be requested, in seconds: 30 days.
const VALIDITY_MAX: u64 = 30 * 24 * 3_600;

/// How long the token must still be valid.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// The minimum number of seconds that the token must still be valid, up to half the lifetime of this service's tokens.
    #[serde(default, deserialize_with = "seconds")]
    #[schema(minimum = 0, maximum = 2592000, example = 120)]
    min_validity: u64,
}

/// A service's access token. This is the only API response that contains a secret.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessToken)]
pub(crate) struct TokenBody<'a> {
    /// The token.
    access_token: &'a str,
    /// The prefix before the token in the header, such as `Bearer`.
    token_type: &'a str,
    /// The header to send with requests to the service.
    header: HeaderBody<'a>,
    /// How many more seconds it can be used.
    seconds_left: u64,
}

/// A header to send.
#[derive(Serialize, ToSchema)]
#[schema(as = Header)]
pub(crate) struct HeaderBody<'a> {
    /// The header's name.
    #[schema(example = "Authorization")]
    name: &'static str,
    /// The header's value.
    value: &'a str,
}

/// Gets an access token
///
/// For the service of a resource. Keytile only requests a new token from the service if it has none that is valid for
/// `min_validity`.
#[utoipa::path(
    post, path = "/api/v1/resources/{id}/token", operation_id = "issue_token", tag = "resources",
    request_body(content = Option<TokenRequest>),
    params(("id" = uuid::Uuid, Path, description = "The resource.")),
    security(("api_key" = ["tokens:issue"])),
    responses(
        (status = 200, description = "The token.", body = TokenBody),
        (status = 502, description = "The service doesn't issue a token for this credential.", body = super::problems::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn issue(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
    OptionalBody(wanted): OptionalBody<TokenRequest>,
) -> Result<Response, Problem> {
    if wanted.min_validity > VALIDITY_MAX {
        return Err(wrong("min_validity", "Send a whole number of seconds from 0 to 2592000 (30 days).", "invalid"));
    }
    let validity = Duration::from_secs(wanted.min_validity);
    match state.service.issue_token(&caller, id, validity).await.map_err(failed)? {
        TokenIssue::Issued(issued) => {
            let body = TokenBody {
                access_token: issued.access_token.expose_secret(),
                token_type: &issued.token_type,
                header: HeaderBody { name: "Authorization", value: issued.authorization.expose_secret() },
                seconds_left: issued.seconds_left,
            };
            Ok(Json(body).into_response())
        }
        TokenIssue::Refused(refusal) => Err(without_token(refusal.class, &refusal.diagnosis, refusal.retry_in)),
        TokenIssue::NotAllowed => {
            let detail = "This API key doesn't have the scope tokens:issue. Use a key that has it.";
            Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail))
        }
        TokenIssue::NotFound => Err(no_such("resource")),
    }
}
