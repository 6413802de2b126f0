//! Settings: transferring everything that a user owns, after a page that shows how much it is.

use std::slice;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::list::ADDRESS;
use crate::{
    domain::{
        access::transfer::{Renamed, Transferred},
        audit::event::TargetKind,
        credentials::form::FieldError,
    },
    service::{access::transfer::HandOverOutcome, users::admin::PersonDetail},
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, Id},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::users::{account_field::AccountField, settings_nav::SettingsNav},
    },
};

#[derive(Template)]
#[template(path = "settings/hand_over.html")]
struct HandOverPage<'a> {
    layout: Layout,
    nav: SettingsNav,
    detail: &'a PersonDetail,
    field: AccountField<'a>,
}

#[derive(Template)]
#[template(path = "settings/handed_over.html")]
struct HandedOverPage<'a> {
    layout: Layout,
    nav: SettingsNav,
    detail: &'a PersonDetail,
    to: &'a str,
    handed_over: &'a Transferred,
}

impl HandedOverPage<'_> {
    /// What kind of object was renamed.
    fn noun(&self, renamed: &Renamed) -> &'static str {
        if renamed.kind == TargetKind::Credential { "Credential" } else { "Source or destination" }
    }
}

/// `GET /settings/people/{id}/hand-over`.
pub(crate) async fn ask(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    let detail = state.service.person(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    respond(&state, &signed, &detail, "", None)
}

/// The new owner.
pub(crate) struct HandOverForm {
    to: String,
}

impl FromFields for HandOverForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { to: fields.take("to") })
    }
}

/// `POST /settings/people/{id}/hand-over`. Not a redirect, because only this response tells which names changed.
pub(crate) async fn hand_over(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Form(form): Form<HandOverForm>,
) -> Result<Response, PageError> {
    let outcome = state.service.hand_over(&signed.caller, id, &form.to).await?;
    let detail = state.service.person(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    match outcome {
        HandOverOutcome::Done(handed_over) => {
            let page = HandedOverPage {
                layout: Layout::new(&state, &signed, Section::Settings, format!("Transferred · {} · Settings", detail.user.name)),
                nav: SettingsNav::new(&signed, ADDRESS),
                detail: &detail,
                to: form.to.trim(),
                handed_over: &handed_over,
            };
            layout::ok(&page)
        }
        HandOverOutcome::Invalid(error) => respond(&state, &signed, &detail, &form.to, Some(&error)),
        HandOverOutcome::NotFound => Err(PageError::NotFound),
    }
}

fn respond(
    state: &WebState,
    signed: &SignedIn,
    detail: &PersonDetail,
    to: &str,
    error: Option<&FieldError>,
) -> Result<Response, PageError> {
    let page = HandOverPage {
        layout: Layout::new(state, signed, Section::Settings, format!("Transfer ownership · {} · Settings", detail.user.name))
            .with_error(error.is_some()),
        nav: SettingsNav::new(signed, ADDRESS),
        detail,
        field: AccountField::email("to", "Email address of the new owner", to)
            .of_another()
            .with_help("Enter an active account. Only editors and administrators can own credentials.")
            .with_errors(error.map(slice::from_ref).unwrap_or_default()),
    };
    layout::page(if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}
