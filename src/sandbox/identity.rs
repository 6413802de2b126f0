//! The token endpoint of an account: the client credentials grant of OAuth 2.0 (RFC 6749 section 4.4), with
//! the error responses of section 5.2, and the accounts that misbehave.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::State as Shared,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{Html, IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{
    accounts::{self, Behaviour, CLIENT_ID, CLIENT_SECRET, NEXT_CLIENT_SECRET, RETRY_AFTER_SECONDS, SLOW_ANSWER_SECONDS},
    api_error::{ApiError, no_such_method, no_such_path},
    hosts::{Host, Region},
    state::State,
    token,
};

/// The scopes that an access token can have.
const SCOPES: [&str; 4] = ["account:read", "contacts:read", "contacts:write", "users:read"];

/// The routes of an account's host.
pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/oauth/token", post(issue_token))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(state)
}

async fn issue_token(
    Shared(state): Shared<Arc<State>>,
    Extension(host): Extension<Host>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    state.token_requests.fetch_add(1, Ordering::Relaxed);
    let Host::Identity { account, region } = host else {
        return no_such_path().await.into_response();
    };
    let mut response = match accounts::behaviour(&account) {
        None => ApiError::new(StatusCode::NOT_FOUND, "Account not found", "There is no account with this name in the sandbox.")
            .into_response(),
        Some(Behaviour::Down) => down(),
        Some(Behaviour::RateLimited) => rate_limited(),
        Some(Behaviour::Html) => Html(include_str!("sign_in.html")).into_response(),
        Some(Behaviour::Slow) => match slow_down(&state).await {
            Ok(()) => grant(&state, &account, region, &headers, &body),
            Err(stopping) => stopping,
        },
        Some(Behaviour::Good | Behaviour::BearerOnly) => grant(&state, &account, region, &headers, &body),
    };
    // RFC 6749 section 5.1: nothing about a token may be cached.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

fn grant(state: &State, account: &str, region: Region, headers: &HeaderMap, body: &[u8]) -> Response {
    match granted_scopes(headers, body) {
        Ok(scopes) => Json(json!({
            "access_token": state.tokens.issue(account, region, &scopes),
            "token_type": "Bearer",
            "expires_in": token::LIFETIME.as_secs(),
            "scope": scopes.join(" "),
        }))
        .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Checks a token request in the order in which a server can find out what is wrong.
fn granted_scopes(headers: &HeaderMap, body: &[u8]) -> Result<Vec<&'static str>, Refusal> {
    let params = parse_form(headers, body)?;
    authenticate(headers, &params)?;
    match params.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => return Err(Refusal::bad("unsupported_grant_type", "Only client_credentials is supported.")),
        None => return Err(Refusal::bad("invalid_request", "The parameter grant_type is missing.")),
    }
    let asked: Vec<&str> = params.get("scope").map(|scope| scope.split_whitespace().collect()).unwrap_or_default();
    if asked.iter().any(|scope| !SCOPES.contains(scope)) {
        return Err(Refusal::bad("invalid_scope", "The OAuth app does not have one of the requested scopes."));
    }
    Ok(SCOPES.into_iter().filter(|scope| asked.is_empty() || asked.contains(scope)).collect())
}

/// RFC 6749 section 3.2: form-encoded, no parameter more than once, and one without a value counts as left
/// out.
fn parse_form(headers: &HeaderMap, body: &[u8]) -> Result<HashMap<String, String>, Refusal> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::bad("invalid_request", "The body must be application/x-www-form-urlencoded."));
    }
    let mut params = HashMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        if params.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::bad("invalid_request", "A parameter is included more than once."));
        }
    }
    params.retain(|_, value| !value.is_empty());
    Ok(params)
}

/// RFC 6749 section 2.3.1: in the header or in the body, never in both.
fn authenticate(headers: &HeaderMap, params: &HashMap<String, String>) -> Result<(), Refusal> {
    let (id, secret) = match (headers.get(AUTHORIZATION), params.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad("invalid_request", "The client authenticates in more than one way."));
        }
        (Some(header), None) => basic_credentials(header).ok_or_else(Refusal::client)?,
        (None, Some(secret)) => (params.get("client_id").cloned().unwrap_or_default(), secret.clone()),
        (None, None) => return Err(Refusal::client()),
    };
    if id == CLIENT_ID && [CLIENT_SECRET, NEXT_CLIENT_SECRET].contains(&secret.as_str()) { Ok(()) } else { Err(Refusal::client()) }
}

/// Parses HTTP Basic (RFC 7617) and undoes the form encoding of both halves.
fn basic_credentials(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Waits as long as the account `slow` does. The error is the response if the sandbox stops meanwhile.
async fn slow_down(state: &State) -> Result<(), Response> {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(SLOW_ANSWER_SECONDS)) => Ok(()),
        () = state.stopping.cancelled() => Err(down()),
    }
}

fn down() -> Response {
    let body = json!({"error": "temporarily_unavailable", "error_description": "This account is out of service."});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

fn rate_limited() -> Response {
    let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", "Try again later.").into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    response
}

/// An error response of RFC 6749 section 5.2.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl Refusal {
    fn bad(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    /// The same response for an unknown client and a wrong secret, so that it doesn't reveal which it was.
    fn client() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description: "Client authentication failed." }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({"error": self.error, "error_description": self.description}));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"TalkDesk sandbox\""));
        }
        response
    }
}
