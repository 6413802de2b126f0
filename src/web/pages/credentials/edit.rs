//! Edit: the form of a stored credential, whose new values are verified before they are stored.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::create::{Line, SaveForm, as_lines, is_by_script, signed_out};
use crate::{
    domain::credentials::{form::RawForm, verification::Unobserved},
    service::{
        ServiceError,
        credentials::{
            edit::CredentialUpdate,
            edit_form::{EditForm, Edited},
        },
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, Id},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{
            credentials::{
                form::{FormView, Problem},
                form_place::FormPlace,
            },
            resources::flow::Badge,
        },
    },
};

#[derive(Template)]
#[template(path = "credential_edit.html")]
struct EditPage<'a> {
    layout: Layout,
    name: &'a str,
    connector: &'a str,
    badge: Badge<'a>,
    form: FormView<'a>,
    /// Sanitized HTML.
    guide: &'a str,
}

/// The query of the page.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    discard: Option<String>,
}

/// The form, as it was submitted.
pub(crate) struct SentForm {
    /// Empty if the form only discards the input.
    revision: String,
    rest: SaveForm,
}

impl FromFields for SentForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        // Can't be the id of a connector's field, because those have no hyphen.
        let revision = fields.take("form-revision");
        Ok(Self { revision, rest: SaveForm::from_fields(fields)? })
    }
}

/// `GET /credentials/{id}/edit`.
pub(crate) async fn show(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    match state.service.edit_form(&signed.caller, id).await? {
        Ok(form) => respond(&state, &signed, id, &form, Problem::None, StatusCode::OK),
        Err(obstacle) => without_form(id, &obstacle),
    }
}

/// `POST /credentials/{id}/edit`.
pub(crate) async fn save(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    Form(sent): Form<SentForm>,
) -> Result<Response, PageError> {
    let page = format!("/credentials/{id}/edit");
    if wanted.discard.is_some() {
        signed.live()?;
        state.service.discard_draft(&signed.caller, sent.rest.draft).await?;
        return Ok(Redirect::to(&page).into_response());
    }
    let by_script = is_by_script(&headers);
    let connector = match state.service.credential_connector(&signed.caller, id).await? {
        Ok(connector) => connector,
        Err(obstacle) => return without_form(id, &obstacle),
    };
    let (draft, raw) = sent.rest.for_connector(&connector);
    if signed.session.is_none() {
        state.service.keep_edit(&signed.caller, id, draft, &raw).await?;
        return Ok(signed_out(&page, by_script));
    }
    if by_script {
        let (service, caller) = (state.service.clone(), signed.caller.clone());
        let saving = move |observer| async move { service.edit_credential(caller, id, sent.revision, draft, raw, observer).await };
        return Ok(as_lines(saving, move |outcome| last_line(&state, &signed, id, outcome)));
    }
    saved_by_page(&state, &signed, id, sent.revision, draft, raw).await
}

async fn saved_by_page(
    state: &WebState,
    signed: &SignedIn,
    id: Uuid,
    revision: String,
    draft: Uuid,
    raw: RawForm,
) -> Result<Response, PageError> {
    let editing = state.service.edit_credential(signed.caller.clone(), id, revision, draft, raw, Arc::new(Unobserved));
    let Edited { update, again } = editing.await?;
    let Some(form) = again else { return without_form(id, &update) };
    let (problem, status) = match &update {
        CredentialUpdate::Outdated => (Problem::Outdated, StatusCode::CONFLICT),
        update => (problem(update), StatusCode::UNPROCESSABLE_ENTITY),
    };
    respond(state, signed, id, &form, problem, status)
}

/// The response if there is no form to show: the edit is done, or there is nothing to edit.
fn without_form(id: Uuid, update: &CredentialUpdate) -> Result<Response, PageError> {
    match update {
        CredentialUpdate::NotFound => Err(PageError::NotFound),
        // The page of the credential says what the problem is.
        update => Ok(Redirect::to(&location(id, update)).into_response()),
    }
}

fn location(id: Uuid, update: &CredentialUpdate) -> String {
    let word = match update {
        CredentialUpdate::Updated { verified: true, .. } => "?edited=verified",
        CredentialUpdate::Updated { changed, .. } if changed.is_empty() => "?edited=same",
        CredentialUpdate::Updated { .. } => "?edited=named",
        _ => "",
    };
    format!("/credentials/{id}{word}")
}

fn problem(update: &CredentialUpdate) -> Problem<'_> {
    match update {
        CredentialUpdate::Invalid(errors) => Problem::Invalid(errors),
        CredentialUpdate::Rejected(verification) => Problem::Rejected(verification),
        CredentialUpdate::Outdated => Problem::Outdated,
        CredentialUpdate::Updated { .. } | CredentialUpdate::Unusable | CredentialUpdate::NotFound => Problem::None,
    }
}

fn last_line(state: &WebState, signed: &SignedIn, id: Uuid, outcome: Result<Edited, ServiceError>) -> Line {
    match outcome {
        Ok(Edited { update, again: Some(form) }) => Line::again("again", view(state, signed, id, &form, problem(&update))),
        // If the credential no longer exists, its page says so.
        Ok(Edited { update, again: None }) => Line::Saved { outcome: "saved", location: location(id, &update) },
        Err(error) => Line::failed(error),
    }
}

fn view<'a>(state: &WebState, signed: &SignedIn, id: Uuid, form: &'a EditForm, problem: Problem<'a>) -> FormView<'a> {
    let place = FormPlace::edit(id, form.revision.clone());
    let hints = state.hints(form.connector.id.as_str());
    FormView::at(place, (&form.connector, &form.form), problem, &signed.form_token, hints, state.service.now())
}

fn respond(
    state: &WebState,
    signed: &SignedIn,
    id: Uuid,
    form: &EditForm,
    problem: Problem<'_>,
    status: StatusCode,
) -> Result<Response, PageError> {
    let title = format!("Edit {} · Credentials", form.name);
    let page = EditPage {
        layout: Layout::new(state, signed, Section::Credentials, title).with_error(status != StatusCode::OK),
        name: &form.name,
        connector: &form.connector.name,
        badge: Badge::of(&form.connector),
        form: view(state, signed, id, form, problem),
        guide: state.service.catalogue().guide_html(form.connector.id.as_str()),
    };
    layout::page(status, &page)
}
