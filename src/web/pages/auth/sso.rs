//! Single sign-on: to the provider and back, and the pages for failures.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::{
    service::auth::{
        sessions::SessionState,
        sso::{BeginOutcome, CallbackAnswer, FinishOutcome, PENDING, SingleSignOnError},
    },
    web::{
        http::{cookie::Cookie, error::PageError},
        layout::{self, Layout},
        session::{Visitor, is_secure, own_page, session_cookie, sign_in_address},
        state::WebState,
        views::auth::sso::SingleSignOnView,
    },
};

/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/sign-in/sso/callback";

const COOKIE: Cookie = Cookie { host: "__Host-keytile_sso", kept: PENDING };
/// The longest cookie that is opened, in bytes.
const COOKIE_MAX: usize = 4_096;
const BUSY: &str = "Too many sign-ins are in progress. Try again in a few seconds.";

/// The query, with the page to go to afterwards.
#[derive(Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "single_sign_on.html")]
struct Problem<'a> {
    layout: Layout,
    title: &'a str,
    message: String,
    hint: Option<String>,
    request: &'a str,
}

#[derive(Template)]
#[template(path = "sign_in_only.html")]
struct OnlyWay {
    layout: Layout,
    single_sign_on: Option<SingleSignOnView>,
}

/// `GET /sign-in/sso`. Since it starts a sign-in, the request must come from a page of Keytile or from the user: if
/// another site sends a browser here, it only gets the page with the button.
pub(crate) async fn begin(
    State(state): State<WebState>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let next = own_page(&wanted.next);
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site") {
        return Ok(Redirect::to(&sign_in_address(next)).into_response());
    }
    if visitor.session().is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    match state.service.begin_single_sign_on(&visitor.nobody(""), next).await? {
        BeginOutcome::Sent { to, cookie } => {
            let cookie = COOKIE.set(is_secure(&state), cookie.expose_secret())?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to.as_str())).into_response())
        }
        BeginOutcome::Off => Err(PageError::NotFound),
        BeginOutcome::NoAccounts => Ok(Redirect::to("/setup").into_response()),
        BeginOutcome::Busy => busy(&state, &visitor),
        BeginOutcome::Failed(error) => failed(&state, &visitor, &error),
    }
}

/// `GET /sign-in/sso/callback`.
pub(crate) async fn finish(
    State(state): State<WebState>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(answer): Query<CallbackAnswer>,
) -> Result<Response, PageError> {
    let cookie = COOKIE.read(&headers, is_secure(&state)).filter(|cookie| cookie.len() <= COOKIE_MAX);
    let service = &state.service;
    let before = match &visitor.state {
        SessionState::Live(session) | SessionState::SecondFactor(session) => Some(session),
        SessionState::RanOut(_) | SessionState::None => None,
    };
    let outcome = service.finish_single_sign_on(&visitor.nobody(""), cookie, &answer, &visitor.agent, before).await?;
    // A response that another site made the browser send must not end a sign-in that is really in progress.
    let keeps = matches!(outcome, FinishOutcome::Failed(SingleSignOnError::ForeignAnswer) | FinishOutcome::Off);
    let mut response = match outcome {
        FinishOutcome::Done { cookie, next } => {
            let cookie = session_cookie(&state, &cookie)?;
            ([(header::SET_COOKIE, cookie)], Redirect::to(own_page(&next))).into_response()
        }
        FinishOutcome::Off => return Err(PageError::NotFound),
        FinishOutcome::Busy => busy(&state, &visitor)?,
        FinishOutcome::Limited(wait) => {
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            let message = format!("Too many failed sign-ins from your network. Try again in {seconds} seconds.");
            let page = problem(&state, &visitor, StatusCode::TOO_MANY_REQUESTS, "Try again later", message, None)?;
            ([(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(60)))], page).into_response()
        }
        FinishOutcome::TookTooLong => {
            let message = format!("Sign-in took longer than {} minutes. Please start again.", PENDING.as_secs() / 60);
            problem(&state, &visitor, StatusCode::BAD_REQUEST, "Sign-in failed", message, None)?
        }
        FinishOutcome::Failed(error) => failed(&state, &visitor, &error)?,
        FinishOutcome::Refused(refusal) => {
            problem(&state, &visitor, StatusCode::FORBIDDEN, "You can't sign in", refusal.to_string(), None)?
        }
    };
    if cookie.is_some() && !keeps {
        response.headers_mut().append(header::SET_COOKIE, COOKIE.clear(is_secure(&state))?);
    }
    Ok(response)
}

/// The page of `GET /sign-in` if single sign-on is the only way to sign in.
pub(crate) async fn only_way(state: &WebState, visitor: &Visitor, query: Option<&str>) -> Result<Response, PageError> {
    let wanted = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).find(|(name, _)| name == "next");
    let next = wanted.map(|(_, next)| next.into_owned()).unwrap_or_default();
    if visitor.session().is_some() {
        return Ok(Redirect::to(own_page(&next)).into_response());
    }
    if !state.service.has_users().await? {
        return Ok(Redirect::to("/setup").into_response());
    }
    let layout = Layout::for_visitor(state, Some(visitor), "Sign in");
    layout::ok(&OnlyWay { layout, single_sign_on: SingleSignOnView::new(state, &next) })
}

/// The response to a password, or to a password link, if neither is allowed.
pub(crate) fn no_passwords(state: &WebState, visitor: &Visitor) -> Result<Response, PageError> {
    let name = state.service.single_sign_on().map_or("single sign-on", |settings| &settings.name);
    let message = format!("You can't sign in with a password here. Sign in with {name}.");
    problem(state, visitor, StatusCode::FORBIDDEN, "Password sign-in is off", message, None)
}

fn failed(state: &WebState, visitor: &Visitor, error: &SingleSignOnError) -> Result<Response, PageError> {
    let status = match error {
        SingleSignOnError::ForeignAnswer => StatusCode::BAD_REQUEST,
        SingleSignOnError::Refused { .. } => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    };
    // A cookie belongs to one host name: if the sign-in started under another, it isn't sent here.
    let hint = matches!(error, SingleSignOnError::ForeignAnswer)
        .then(|| format!("If this happens again, open Keytile at {} and allow cookies for it.", state.settings.public_url));
    problem(state, visitor, status, "Sign-in failed", error.to_string(), hint)
}

fn busy(state: &WebState, visitor: &Visitor) -> Result<Response, PageError> {
    let page = problem(state, visitor, StatusCode::SERVICE_UNAVAILABLE, "Try again in a moment", BUSY.into(), None)?;
    Ok(([(header::RETRY_AFTER, HeaderValue::from_static("2"))], page).into_response())
}

fn problem(
    state: &WebState,
    visitor: &Visitor,
    status: StatusCode,
    title: &str,
    message: String,
    hint: Option<String>,
) -> Result<Response, PageError> {
    let layout = Layout::for_visitor(state, Some(visitor), title).with_error(true);
    layout::page(status, &Problem { layout, title, message, hint, request: &visitor.origin.request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_https_the_cookie_belongs_to_this_host_alone() {
        let text = |cookie: Result<HeaderValue, PageError>| cookie.unwrap().to_str().unwrap().to_owned();
        assert_eq!(text(COOKIE.set(true, "v")), "__Host-keytile_sso=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=600; Secure");
        assert_eq!(text(COOKIE.clear(true)), "__Host-keytile_sso=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure");
        assert_eq!(text(COOKIE.set(false, "v")), "keytile_sso=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
    }
}
