//! The overlay "Add New Credential", as a page with its own URL, on top of the Authenticate page.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use uuid::Uuid;

use crate::{
    service::credentials::drafts::FormState,
    web::{
        http::{
            error::PageError,
            extract::{Fields, Flow, Form, FromFields},
        },
        layout,
        pages::resources::authenticate::{Authenticate, Overlay, tiles_below},
        session::SignedIn,
        state::WebState,
        views::{
            credentials::form::{FormView, Problem},
            resources::flow::base,
        },
    },
};

/// `GET /{kind}/new/{connector}/credentials/new`.
pub(crate) async fn show(State(state): State<WebState>, signed: SignedIn, flow: Flow) -> Result<Response, PageError> {
    let form = state.service.open_form(&signed.caller, &flow.connector).await?;
    respond(&state, &signed, &flow, &form, Problem::None, StatusCode::OK).await
}

/// The page with a new form, or with one that has errors.
pub(crate) async fn respond(
    state: &WebState,
    signed: &SignedIn,
    flow: &Flow,
    form: &FormState,
    problem: Problem<'_>,
    status: StatusCode,
) -> Result<Response, PageError> {
    let tiles = tiles_below(state, signed, flow).await?;
    let overlay = Overlay {
        form: view(state, signed, flow, form, problem),
        guide: state.service.catalogue().guide_html(flow.connector.id.as_str()),
    };
    layout::page(status, &Authenticate::with_overlay(state, signed, flow, &tiles, overlay))
}

/// The form alone.
pub(crate) fn view<'a>(
    state: &WebState,
    signed: &SignedIn,
    flow: &'a Flow,
    form: &'a FormState,
    problem: Problem<'a>,
) -> FormView<'a> {
    FormView::new(flow, form, problem, &signed.form_token, state.hints(flow.connector.id.as_str()), state.service.now())
}

/// The form that discards a draft.
pub(crate) struct Discard {
    draft: Uuid,
    /// `leave`, or empty to start again with an empty form.
    then: String,
}

impl FromFields for Discard {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { draft: fields.take_id("draft")?, then: fields.take("then") })
    }
}

/// `POST /{kind}/new/{connector}/credentials/discard`.
pub(crate) async fn discard(
    State(state): State<WebState>,
    signed: SignedIn,
    flow: Flow,
    Form(form): Form<Discard>,
) -> Result<Response, PageError> {
    state.service.discard_draft(&signed.caller, form.draft).await?;
    let page = if form.then == "leave" { "authenticate" } else { "credentials/new" };
    Ok(Redirect::to(&format!("{}/{page}", base(&flow))).into_response())
}
