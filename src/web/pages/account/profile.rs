//! Settings, "Your account": the name, the password, and the state of the second factor.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    domain::credentials::form::FieldError,
    service::users::{own_account::OwnAccount, reauthentication::OwnChange},
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout, Section},
        pages::auth::sign_in::Refusal,
        session::{SignedIn, Visitor, session_cookie},
        state::WebState,
        views::users::{
            account_field::{AccountField, PASSWORD_HELP},
            person::role_label,
            settings_nav::SettingsNav,
        },
    },
};

/// The query of the page.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "settings/account.html")]
struct Account<'a> {
    layout: Layout,
    nav: SettingsNav,
    email: &'a str,
    role: &'static str,
    account: OwnAccount,
    name: AccountField<'a>,
    passwords: [AccountField<'a>; 2],
    proof: [AccountField<'a>; 2],
    done: Option<&'static str>,
    refusal: Refusal,
}

/// What is wrong with the submitted input, and the input.
#[derive(Default)]
pub(in crate::web::pages) struct Problem<'a> {
    pub(in crate::web::pages) errors: &'a [FieldError],
    pub(in crate::web::pages) refusal: Option<Refusal>,
    pub(in crate::web::pages) name: Option<&'a str>,
}

impl<'a> Problem<'a> {
    /// Some fields are invalid.
    pub(in crate::web::pages) fn fields(errors: &'a [FieldError]) -> Self {
        Self { errors, refusal: Some(Refusal::Wrong), name: None }
    }

    /// The change was not attempted.
    pub(in crate::web::pages) fn refused(refusal: Refusal) -> Self {
        Self { errors: &[], refusal: Some(refusal), name: None }
    }
}

/// `GET /settings`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    respond(&state, &signed, &wanted.done, Problem::default()).await
}

pub(crate) struct NameForm(String);

impl FromFields for NameForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self(fields.take("name")))
    }
}

/// `POST /settings/name`.
pub(crate) async fn change_name(
    State(state): State<WebState>,
    signed: SignedIn,
    Form(NameForm(name)): Form<NameForm>,
) -> Result<Response, PageError> {
    match state.service.change_own_name(signed.live()?, &signed.caller.origin, &name).await? {
        OwnChange::Invalid(errors) => respond(&state, &signed, "", Problem { name: Some(&name), ..Problem::fields(&errors) }).await,
        OwnChange::Done(()) | OwnChange::Limited(_) | OwnChange::Busy | OwnChange::Void => {
            Ok(Redirect::to("/settings?done=name").into_response())
        }
    }
}

/// The current and the new password.
pub(crate) struct PasswordForm {
    old: SecretString,
    new: SecretString,
}

impl FromFields for PasswordForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { old: fields.take("old_password").into(), new: fields.take("new_password").into() })
    }
}

/// `POST /settings/password`.
pub(crate) async fn change_password(
    State(state): State<WebState>,
    signed: SignedIn,
    visitor: Visitor,
    Form(form): Form<PasswordForm>,
) -> Result<Response, PageError> {
    let origin = &signed.caller.origin;
    match state.service.change_own_password(signed.live()?, origin, &form.old, &form.new, &visitor.agent).await? {
        OwnChange::Done(cookie) => {
            let cookie = session_cookie(&state, &cookie)?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/settings?done=password")).into_response())
        }
        other => respond_to(&state, &signed, other).await,
    }
}

/// The page after a change that was refused.
pub(in crate::web::pages) async fn respond_to<T>(
    state: &WebState,
    signed: &SignedIn,
    change: OwnChange<T>,
) -> Result<Response, PageError> {
    match change {
        OwnChange::Invalid(errors) => respond(state, signed, "", Problem::fields(&errors)).await,
        OwnChange::Limited(wait) => respond(state, signed, "", Problem::refused(wait.into())).await,
        OwnChange::Busy => respond(state, signed, "", Problem::refused(Refusal::Busy)).await,
        OwnChange::Void | OwnChange::Done(_) => Ok(Redirect::to("/settings").into_response()),
    }
}

async fn respond(state: &WebState, signed: &SignedIn, done: &str, problem: Problem<'_>) -> Result<Response, PageError> {
    let done = match done {
        "name" => Some("Name changed."),
        "password" => Some("Password changed. All your other sessions have ended."),
        "second-factor-off" => Some("Two-step verification is off. You sign in with your password only."),
        _ => None,
    };
    let refusal = problem.refusal.unwrap_or(Refusal::None);
    let status = if problem.refusal.is_some() { refusal.status() } else { StatusCode::OK };
    let errors = problem.errors;
    let page = Account {
        layout: Layout::new(state, signed, Section::Settings, "Your account · Settings").with_error(refusal.is_error()),
        nav: SettingsNav::new(signed, "/settings"),
        email: &signed.person.email,
        role: role_label(signed.person.role),
        account: state.service.own_account(signed.live()?).await?,
        name: AccountField::text("name", "Your name", "name", problem.name.unwrap_or(&signed.person.name)).with_errors(errors),
        passwords: [
            AccountField::password("old_password", "Current password", "current-password").with_errors(errors),
            AccountField::password("new_password", "New password", "new-password").with_help(PASSWORD_HELP).with_errors(errors),
        ],
        proof: proof_fields(errors, "A new code from your app, or a recovery code."),
        done,
        refusal,
    };
    Ok(refusal.attach(layout::page(status, &page)?))
}

/// The fields with which a user confirms their identity.
pub(in crate::web::pages) fn proof_fields<'a>(errors: &'a [FieldError], help: &'static str) -> [AccountField<'a>; 2] {
    [
        AccountField::password("password", "Your password", "current-password").with_errors(errors),
        AccountField::text("code", "Code", "one-time-code", "").with_help(help).with_errors(errors),
    ]
}
