//! Settings: one user, and what an administrator can do with them.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::list::{ADDRESS, person_of, show_link};
use crate::{
    domain::{access::permission::Permission, credentials::form::FieldError, users::Role},
    service::users::{
        admin::{PersonChanged, PersonDetail, PersonState, RawPerson},
        password_links::PasswordReset,
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, Id},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::users::{
            person::{PersonFields, PersonRow, moment},
            settings_nav::SettingsNav,
        },
    },
};

const LAST_ADMINISTRATOR: &str = "This is the last active administrator. Make someone else an administrator first.";
const OUTDATED: &str =
    "This account was changed while you were editing. The fields show what you typed. Check the saved version first.";
const DISABLED: &str = "This account is disabled. Enable it before you reset its password.";

const ROLE_HELP: &str = "Changes take effect immediately. If you upgrade the role, this person must sign in again to use it.";

/// The query of the page.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "settings/person.html")]
struct PersonPage<'a> {
    layout: Layout,
    nav: SettingsNav,
    row: PersonRow<'a>,
    detail: &'a PersonDetail,
    link_until: Option<String>,
    form: PersonFields<'a>,
    done: Option<&'static str>,
    problem: Option<&'a str>,
}

/// `GET /settings/people/{id}`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let done = wanted.done.as_deref().and_then(words);
    respond(&state, &signed, id, Shown { done, ..Shown::default() }).await
}

/// The input about a user, and the version that was seen.
pub(crate) struct ChangeForm {
    version: i64,
    typed: RawPerson,
}

impl FromFields for ChangeForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let version = fields.take("version").parse().map_err(|_| PageError::BadRequest)?;
        Ok(Self { version, typed: person_of(&mut fields) })
    }
}

/// `POST /settings/people/{id}`: changes name, email address and role.
pub(crate) async fn change(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Form(form): Form<ChangeForm>,
) -> Result<Response, PageError> {
    let typed = Some(&form.typed);
    match state.service.change_person(&signed.caller, id, form.version, &form.typed).await? {
        // An administrator who gave up the right to see this page is redirected to one that they may see.
        PersonChanged::Changed { .. } if id == signed.person.id && !manages(&form.typed.role) => {
            Ok(Redirect::to("/").into_response())
        }
        PersonChanged::Changed { sessions_ended: true } => Ok(done(id, "raised")),
        PersonChanged::Changed { sessions_ended: false } => Ok(done(id, "changed")),
        PersonChanged::Invalid(errors) => respond(&state, &signed, id, Shown { typed, errors: &errors, ..Shown::default() }).await,
        PersonChanged::Outdated => respond(&state, &signed, id, Shown { typed, problem: Some(OUTDATED), ..Shown::default() }).await,
        PersonChanged::NotFound => Err(PageError::NotFound),
    }
}

/// `POST /settings/people/{id}/disable`.
pub(crate) async fn disable(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    let outcome = state.service.disable_person(&signed.caller, id).await?;
    after_state(&state, &signed, id, outcome, "disabled").await
}

/// `POST /settings/people/{id}/enable`.
pub(crate) async fn enable(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    let outcome = state.service.enable_person(&signed.caller, id).await?;
    after_state(&state, &signed, id, outcome, "enabled").await
}

/// `POST /settings/people/{id}/reset-password`: shows a link for choosing a new password.
pub(crate) async fn reset_password(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    let Some(detail) = state.service.person(&signed.caller, id).await? else { return Err(PageError::NotFound) };
    match state.service.reset_password(&signed.caller, id).await? {
        PasswordReset::Done(link) => show_link(&state, &signed, id, &detail.user.name, &link, false),
        PasswordReset::Disabled => respond(&state, &signed, id, Shown { problem: Some(DISABLED), ..Shown::default() }).await,
        PasswordReset::NotFound => Err(PageError::NotFound),
    }
}

/// `POST /settings/people/{id}/remove-second-factor`.
pub(crate) async fn remove_second_factor(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
) -> Result<Response, PageError> {
    match state.service.take_second_factor_from(&signed.caller, id).await? {
        true => Ok(done(id, "factor")),
        false => Err(PageError::NotFound),
    }
}

/// `POST /settings/people/{id}/end-sessions`.
pub(crate) async fn end_sessions(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    match state.service.end_sessions_of(&signed.caller, id).await? {
        true => Ok(done(id, "sessions")),
        false => Err(PageError::NotFound),
    }
}

async fn after_state(
    state: &WebState,
    signed: &SignedIn,
    id: Uuid,
    outcome: PersonState,
    word: &str,
) -> Result<Response, PageError> {
    match outcome {
        PersonState::Done => Ok(done(id, word)),
        PersonState::LastAdministrator => {
            respond(state, signed, id, Shown { problem: Some(LAST_ADMINISTRATOR), ..Shown::default() }).await
        }
        PersonState::NotFound => Err(PageError::NotFound),
    }
}

fn manages(role: &str) -> bool {
    Role::parse(role).is_some_and(|role| role.may(Permission::ManageAccounts))
}

fn done(id: Uuid, word: &str) -> Response {
    Redirect::to(&format!("{ADDRESS}/{id}?done={word}")).into_response()
}

/// The message for what was done; `None` for a word that no page sends.
fn words(done: &str) -> Option<&'static str> {
    Some(match done {
        "changed" => "Saved.",
        "raised" => "Role upgraded. They must sign in again to use it.",
        "disabled" => "Disabled. All sessions have ended, and the API keys no longer work.",
        "enabled" => "Enabled. This person can sign in again.",
        "factor" => "Two-step verification is off. The password alone is enough to sign in.",
        "sessions" => "All sessions have ended.",
        _ => return None,
    })
}

/// What the page shows in addition to what is stored.
#[derive(Default)]
struct Shown<'a> {
    /// The input; `None` to show what is stored.
    typed: Option<&'a RawPerson>,
    errors: &'a [FieldError],
    done: Option<&'static str>,
    problem: Option<&'a str>,
}

async fn respond(state: &WebState, signed: &SignedIn, id: Uuid, shown: Shown<'_>) -> Result<Response, PageError> {
    let detail = state.service.person(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    let user = &detail.user;
    let stored = RawPerson { email: user.email.clone(), name: user.name.clone(), role: user.role.as_str().to_owned() };
    let typed = shown.typed.unwrap_or(&stored);
    let failed = !shown.errors.is_empty() || shown.problem.is_some();
    let page = PersonPage {
        layout: Layout::new(state, signed, Section::Settings, format!("{} · People", user.name)).with_error(failed),
        nav: SettingsNav::new(signed, ADDRESS),
        row: PersonRow::new(user, state.service.now()),
        link_until: detail.link_until.map(moment),
        form: PersonFields::new(typed, &typed.role, shown.errors, ROLE_HELP),
        done: shown.done,
        problem: shown.problem,
        detail: &detail,
    };
    layout::page(if failed { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}
