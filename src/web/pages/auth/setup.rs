//! Setup: creates the first administrator. Only the link that was printed at startup opens its form.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::sign_in;
use crate::{
    domain::credentials::form::FieldError,
    service::{
        auth::browser,
        users::setup::{RawSetUp, SetUpOutcome},
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout},
        session::Visitor,
        state::WebState,
        views::users::account_field::{AccountField, PASSWORD_HELP},
    },
};

/// The query, with the token of the printed link.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

/// Characters of a suggested password: 120 random bits.
const SUGGESTION_LENGTH: usize = 20;

#[derive(Template)]
#[template(path = "setup.html")]
struct SetUp<'a> {
    layout: Layout,
    /// The token, if it is the correct one.
    token: Option<&'a str>,
    fields: [AccountField<'a>; 3],
    busy: bool,
}

/// `GET /setup`.
pub(crate) async fn show(State(state): State<WebState>, visitor: Visitor, Query(link): Query<Link>) -> Result<Response, PageError> {
    if state.service.has_users().await? {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    let opens = state.service.is_setup_token(&link.token).await?;
    let token = opens.then_some(link.token.as_str());
    let status = if opens || link.token.is_empty() { StatusCode::OK } else { StatusCode::FORBIDDEN };
    let mut form =
        SetUpForm { token: String::new(), raw: RawSetUp { email: String::new(), name: String::new(), password: "".into() } };
    // Someone who only tries Keytile doesn't have to think of a password.
    let suggestion = (opens && state.settings.sandbox).then(|| {
        form.raw.email = "admin@example.com".to_owned();
        form.raw.name = "Administrator".to_owned();
        browser::new_secret()
    });
    respond(&state, &visitor, token, &form, suggestion.as_ref(), &[], status)
}

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
    let again = |errors: &[FieldError], status| respond(&state, &visitor, Some(&form.token), &form, None, errors, status);
    match outcome {
        SetUpOutcome::Done(cookies) => sign_in::signed_in(&state, &cookies, "/"),
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
    suggestion: Option<&SecretString>,
    errors: &[FieldError],
    status: StatusCode,
) -> Result<Response, PageError> {
    let email = AccountField::email("email", "Email address", &form.raw.email);
    let password = match suggestion.map(|password| &password.expose_secret()[..SUGGESTION_LENGTH]) {
        // Visible, so that it can be noted down.
        Some(made_up) => AccountField::text("password", "Password", "new-password", made_up)
            .with_help("Generated for the sandbox. Save it to sign in again, or choose your own."),
        None => AccountField::password("password", "Password", "new-password").with_help(PASSWORD_HELP),
    };
    let page = SetUp {
        layout: Layout::for_visitor(state, Some(visitor), "Set up").with_error(!errors.is_empty()),
        token,
        fields: [
            if errors.is_empty() { email.first() } else { email.with_errors(errors) },
            AccountField::text("name", "Your name", "name", &form.raw.name).with_errors(errors),
            password.with_errors(errors),
        ],
        busy: status == StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(visitor.attach(layout::page(status, &page)?))
}
