//! Set-up: makes the first administrator. Only the link that was printed at the start opens its form.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    domain::form::FieldError,
    service::accounts::{RawSetUp, SetUpOutcome},
    web::{
        error::PageError,
        extract::{Fields, Form, FromFields},
        layout::{self, Layout},
        session::{Visitor, session_cookie},
        state::WebState,
    },
};

/// The address, with the token of the printed link.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetUp<'a> {
    layout: Layout,
    /// The token, if it is the one that opens the form.
    token: Option<&'a str>,
    email: &'a str,
    name: &'a str,
    errors: &'a [FieldError],
    busy: bool,
}

impl SetUp<'_> {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// `GET /setup`.
pub(crate) async fn show(State(state): State<WebState>, visitor: Visitor, Query(link): Query<Link>) -> Result<Response, PageError> {
    if state.service.has_users().await? {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    let opens = state.service.is_setup_token(&link.token).await?;
    let token = opens.then_some(link.token.as_str());
    let status = if opens || link.token.is_empty() { StatusCode::OK } else { StatusCode::FORBIDDEN };
    let form = SetUpForm { token: String::new(), raw: RawSetUp { email: String::new(), name: String::new(), password: "".into() } };
    respond(&state, &visitor, token, &form, &[], status)
}

/// What was typed.
pub(crate) struct SetUpForm {
    token: String,
    raw: RawSetUp,
}

impl FromFields for SetUpForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let raw = RawSetUp {
            email: fields.take("email"),
            name: fields.take("name"),
            password: SecretString::from(fields.take("password")),
        };
        Ok(Self { token: fields.take("token"), raw })
    }
}

/// `POST /setup`.
pub(crate) async fn set_up(
    State(state): State<WebState>,
    visitor: Visitor,
    Form(form): Form<SetUpForm>,
) -> Result<Response, PageError> {
    let outcome = state.service.set_up(&visitor.nobody(""), &form.token, &form.raw, &visitor.agent).await?;
    let again = |errors: &[FieldError], status| respond(&state, &visitor, Some(&form.token), &form, errors, status);
    match outcome {
        SetUpOutcome::Done(cookie) => {
            let cookie = session_cookie(&state, &cookie)?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
        }
        SetUpOutcome::Invalid(errors) => again(&errors, StatusCode::UNPROCESSABLE_ENTITY),
        SetUpOutcome::Busy => again(&[], StatusCode::SERVICE_UNAVAILABLE),
        SetUpOutcome::Void => Ok(Redirect::to("/setup").into_response()),
    }
}

fn respond(
    state: &WebState,
    visitor: &Visitor,
    token: Option<&str>,
    form: &SetUpForm,
    errors: &[FieldError],
    status: StatusCode,
) -> Result<Response, PageError> {
    let page = SetUp {
        layout: Layout::for_visitor(state, Some(visitor), "Set up").with_error(!errors.is_empty()),
        token,
        email: &form.raw.email,
        name: &form.raw.name,
        errors,
        busy: status == StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(visitor.attach(layout::page(status, &page)?))
}
