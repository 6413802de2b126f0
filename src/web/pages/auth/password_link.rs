//! Choosing a password with a link from an administrator. The link has its token in the query, and the form sends
//! it in the body: neither is logged.

use std::slice;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    domain::credentials::form::FieldError,
    service::users::password_links::PasswordChoice,
    web::{
        http::{
            device::device_cookie,
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout},
        session::{Visitor, session_cookie},
        state::WebState,
        views::users::account_field::{AccountField, PASSWORD_HELP},
    },
};

/// The query, with the token of the link.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

#[derive(Template)]
#[template(path = "password_link.html")]
struct PasswordPage<'a> {
    layout: Layout,
    /// The token and the email address of its user, if the link can be used.
    open: Option<(&'a str, &'a str)>,
    field: AccountField<'a>,
    busy: bool,
}

/// `GET /password`.
pub(crate) async fn show(State(state): State<WebState>, visitor: Visitor, Query(link): Query<Link>) -> Result<Response, PageError> {
    respond(&state, &visitor, &link.token.into(), None, StatusCode::OK).await
}

pub(crate) struct PasswordForm {
    token: SecretString,
    password: SecretString,
}

impl FromFields for PasswordForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { token: fields.take("token").into(), password: fields.take("password").into() })
    }
}

/// `POST /password`: sets the password and signs in.
pub(crate) async fn choose(
    State(state): State<WebState>,
    visitor: Visitor,
    Form(form): Form<PasswordForm>,
) -> Result<Response, PageError> {
    let caller = visitor.nobody("");
    let chosen = state.service.choose_password(&caller, &form.token, &form.password, &visitor.agent, visitor.session()).await?;
    match chosen {
        PasswordChoice::Done { cookie, device, needs_code } => {
            let next = if needs_code { "/sign-in/code" } else { "/" };
            let mut response = ([(header::SET_COOKIE, session_cookie(&state, &cookie)?)], Redirect::to(next)).into_response();
            if let Some(device) = device {
                response.headers_mut().append(header::SET_COOKIE, device_cookie(&state, &device)?);
            }
            Ok(response)
        }
        PasswordChoice::Invalid(error) => {
            respond(&state, &visitor, &form.token, Some(&error), StatusCode::UNPROCESSABLE_ENTITY).await
        }
        PasswordChoice::Busy => respond(&state, &visitor, &form.token, None, StatusCode::SERVICE_UNAVAILABLE).await,
        PasswordChoice::Void => respond(&state, &visitor, &"".into(), None, StatusCode::OK).await,
    }
}

/// The form, or a message that the link can't be used.
async fn respond(
    state: &WebState,
    visitor: &Visitor,
    token: &SecretString,
    error: Option<&FieldError>,
    status: StatusCode,
) -> Result<Response, PageError> {
    let person = state.service.person_of_link(token).await?;
    let status = if person.is_some() { status } else { StatusCode::NOT_FOUND };
    let page = PasswordPage {
        layout: Layout::for_visitor(state, Some(visitor), "Choose a password").with_error(error.is_some()),
        open: person.as_deref().map(|email| (token.expose_secret(), email)),
        field: AccountField::password("password", "Password", "new-password")
            .with_help(PASSWORD_HELP)
            .with_errors(error.map(slice::from_ref).unwrap_or_default())
            .first(),
        busy: status == StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(visitor.attach(layout::page(status, &page)?))
}
