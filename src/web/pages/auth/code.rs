//! The second page of a sign-in, for users with a second factor: asks for the code.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use secrecy::{ExposeSecret, SecretString};

use super::sign_in::{Refusal, Wanted, signed_in};
use crate::{
    domain::credentials::form::FieldError,
    service::auth::{
        sessions::{Session, SessionState},
        sign_in::{Browser, SignInOutcome},
    },
    web::{
        http::{
            device::device_of,
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout},
        session::{Visitor, own_page, sign_in_address},
        state::WebState,
        views::users::account_field::AccountField,
    },
};

#[derive(Template)]
#[template(path = "code.html")]
struct Code<'a> {
    layout: Layout,
    email: &'a str,
    next: &'a str,
    field: AccountField<'a>,
    refusal: Refusal,
}

/// `GET /sign-in/code`.
pub(crate) async fn show(
    State(state): State<WebState>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    match waiting(&visitor, &wanted.next) {
        Ok(session) => respond(&state, &visitor, session, &wanted.next, &[], Refusal::None),
        Err(elsewhere) => Ok(elsewhere.into_response()),
    }
}

pub(crate) struct CodeForm {
    code: SecretString,
    next: String,
}

impl FromFields for CodeForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { code: SecretString::from(fields.take("code")), next: fields.take("next") })
    }
}

/// `POST /sign-in/code`.
pub(crate) async fn sign_in(
    State(state): State<WebState>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, PageError> {
    let session = match waiting(&visitor, &form.next) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(elsewhere.into_response()),
    };
    let again = |message: Option<&str>, refusal| {
        let errors: Vec<_> = message.map(|message| FieldError::new("code", message)).into_iter().collect();
        respond(&state, &visitor, session, &form.next, &errors, refusal)
    };
    if form.code.expose_secret().trim().is_empty() {
        return again(Some("Enter the code from your app."), Refusal::Missing);
    }
    let browser = Browser { agent: &visitor.agent, device: device_of(&state, &headers) };
    match state.service.sign_in_with_code(&visitor.nobody(""), session, &form.code, browser).await? {
        SignInOutcome::Done(cookies) => signed_in(&state, &cookies, &form.next),
        SignInOutcome::Limited(wait) => again(None, wait.into()),
        SignInOutcome::Busy => again(None, Refusal::Busy),
        SignInOutcome::Wrong | SignInOutcome::CodeNeeded(_) => {
            again(Some("This code is incorrect or already used. Your app shows a new one every 30 seconds."), Refusal::Wrong)
        }
    }
}

/// The session that waits for its code, or where to redirect if there is none.
fn waiting<'a>(visitor: &'a Visitor, next: &str) -> Result<&'a Session, Redirect> {
    match &visitor.state {
        SessionState::SecondFactor(session) => Ok(session),
        SessionState::Live(_) => Err(Redirect::to(own_page(next))),
        SessionState::RanOut(_) | SessionState::None => Err(Redirect::to(&sign_in_address(next))),
    }
}

fn respond(
    state: &WebState,
    visitor: &Visitor,
    session: &Session,
    next: &str,
    errors: &[FieldError],
    refusal: Refusal,
) -> Result<Response, PageError> {
    let page = Code {
        layout: Layout::for_visitor(state, Some(visitor), "Enter your code").with_error(refusal.is_error()),
        email: &session.person.email,
        next: own_page(next),
        field: AccountField::text("code", "Code", "one-time-code", "")
            .with_help("The 6-digit code from your authenticator app, or a recovery code.")
            .with_errors(errors)
            .first(),
        refusal,
    };
    Ok(refusal.attach(layout::page(refusal.status(), &page)?))
}
