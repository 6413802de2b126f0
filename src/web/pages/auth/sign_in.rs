//! Signing in with a password, and signing out.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    domain::credentials::form::FieldError,
    service::auth::{
        sessions::SessionState,
        sign_in::{Browser, RawSignIn, SignInOutcome, SignedInCookies},
    },
    web::{
        http::{
            device::{device_cookie, device_of},
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout},
        session::{Visitor, no_cookie, own_page, session_cookie, with_next},
        state::WebState,
        views::{auth::sso::SingleSignOnView, users::account_field::AccountField},
    },
};

/// The query, with the page to go to afterwards.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    pub(crate) next: String,
}

/// Why the form is shown again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is shown for the first time.
    None,
    RanOut,
    /// The email address or the password is wrong.
    Wrong,
    /// A field is empty.
    Missing,
    /// Too many failures; no attempt is allowed for this many seconds.
    Limited(u64),
    Busy,
}

impl Refusal {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::None | Self::RanOut => StatusCode::OK,
            Self::Wrong | Self::Missing => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// True if the page shows an error.
    pub(crate) fn is_error(self) -> bool {
        !matches!(self, Self::None | Self::RanOut)
    }

    /// Adds `Retry-After` if there is a time to wait.
    pub(crate) fn attach(self, mut response: Response) -> Response {
        let seconds = match self {
            Self::Limited(seconds) => seconds,
            Self::Busy => 1,
            Self::None | Self::RanOut | Self::Wrong | Self::Missing => return response,
        };
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }
}

impl From<Duration> for Refusal {
    fn from(wait: Duration) -> Self {
        Self::Limited(wait.as_secs())
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    layout: Layout,
    next: &'a str,
    fields: [AccountField<'a>; 2],
    refusal: Refusal,
    single_sign_on: Option<SingleSignOnView>,
}

/// `GET /sign-in`.
pub(crate) async fn show(
    State(state): State<WebState>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let refusal = match &visitor.state {
        SessionState::Live(_) => return Ok(Redirect::to(own_page(&wanted.next)).into_response()),
        SessionState::RanOut(_) => Refusal::RanOut,
        SessionState::SecondFactor(_) => Refusal::None,
        SessionState::None if !state.service.has_users().await? => return Ok(Redirect::to("/setup").into_response()),
        SessionState::None => Refusal::None,
    };
    respond(&state, &visitor, "", &wanted.next, &[], refusal)
}

pub(crate) struct SignInForm {
    raw: RawSignIn,
    next: String,
}

impl FromFields for SignInForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let raw = RawSignIn { email: fields.take("email"), password: SecretString::from(fields.take("password")) };
        Ok(Self { raw, next: fields.take("next") })
    }
}

/// `POST /sign-in`.
pub(crate) async fn sign_in(
    State(state): State<WebState>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, PageError> {
    let again = |errors: &[FieldError], refusal| respond(&state, &visitor, form.raw.email.trim(), &form.next, errors, refusal);
    let missing = form.missing();
    if !missing.is_empty() {
        return again(&missing, Refusal::Missing);
    }
    let before = match &visitor.state {
        SessionState::Live(session) | SessionState::SecondFactor(session) => Some(session),
        SessionState::RanOut(_) | SessionState::None => None,
    };
    let browser = Browser { agent: &visitor.agent, device: device_of(&state, &headers) };
    match state.service.sign_in(&visitor.nobody(""), &form.raw, browser, before).await? {
        SignInOutcome::Done(cookies) => signed_in(&state, &cookies, &form.next),
        SignInOutcome::CodeNeeded(session) => {
            let cookie = session_cookie(&state, &session)?;
            let on = Redirect::to(&with_next("/sign-in/code", &form.next));
            Ok(([(header::SET_COOKIE, cookie)], on).into_response())
        }
        SignInOutcome::Wrong => again(&[], Refusal::Wrong),
        SignInOutcome::Limited(wait) => again(&[], wait.into()),
        SignInOutcome::Busy => again(&[], Refusal::Busy),
    }
}

impl SignInForm {
    fn missing(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.raw.email.trim().is_empty() {
            errors.push(FieldError::new("email", "Enter your email address."));
        }
        if self.raw.password.expose_secret().is_empty() {
            errors.push(FieldError::new("password", "Enter your password."));
        }
        errors
    }
}

/// The response to a user who has just signed in: the cookies, and a redirect to the requested page.
pub(crate) fn signed_in(state: &WebState, cookies: &SignedInCookies, next: &str) -> Result<Response, PageError> {
    let cookies = AppendHeaders([
        (header::SET_COOKIE, session_cookie(state, &cookies.session)?),
        (header::SET_COOKIE, device_cookie(state, &cookies.device)?),
    ]);
    Ok((cookies, Redirect::to(own_page(next))).into_response())
}

fn respond(
    state: &WebState,
    visitor: &Visitor,
    email: &str,
    next: &str,
    errors: &[FieldError],
    refusal: Refusal,
) -> Result<Response, PageError> {
    let (email_first, password_first) = (email.is_empty(), !email.is_empty());
    let mut fields = [
        AccountField::email("email", "Email address", email).with_errors(errors),
        AccountField::password("password", "Password", "current-password").with_errors(errors),
    ];
    fields[0].first = email_first;
    fields[1].first = password_first;
    let page = SignIn {
        layout: Layout::for_visitor(state, Some(visitor), "Sign in").with_error(refusal.is_error()),
        next: own_page(next),
        fields,
        refusal,
        single_sign_on: SingleSignOnView::new(state, next),
    };
    Ok(refusal.attach(visitor.attach(layout::page(refusal.status(), &page)?)))
}

/// `POST /sign-out`: ends the session.
pub(crate) async fn sign_out(State(state): State<WebState>, visitor: Visitor) -> Result<Response, PageError> {
    if let SessionState::Live(session) | SessionState::SecondFactor(session) = &visitor.state {
        state.service.sign_out(session, &visitor.origin).await?;
    }
    Ok(([(header::SET_COOKIE, no_cookie(&state)?)], Redirect::to("/sign-in")).into_response())
}
