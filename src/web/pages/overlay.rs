//! The overlay “Add New Credential”, as a page of its own address: the Authenticate page lies below it.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use uuid::Uuid;

use super::authenticate::{Authenticate, Overlay, tiles_below};
use crate::{
    service::drafts::FormState,
    web::{
        error::PageError,
        extract::{Fields, Flow, Form, FromFields},
        layout,
        session::OpenSession,
        state::WebState,
        views::{
            flow::base,
            form::{FormView, Problem},
        },
    },
};

/// `GET /{kind}/new/{connector}/credentials/new`.
pub(crate) async fn show(State(state): State<WebState>, flow: Flow, session: OpenSession) -> Result<Response, PageError> {
    let form = state.service.open_form(&session.session, &flow.connector).await?;
    let response = respond(&state, &flow, &form, Problem::None, StatusCode::OK).await?;
    Ok(session.attach(response))
}

/// The page with a form that was opened, or that came back with a problem.
pub(crate) async fn respond(
    state: &WebState,
    flow: &Flow,
    form: &FormState,
    problem: Problem<'_>,
    status: StatusCode,
) -> Result<Response, PageError> {
    let tiles = tiles_below(state, flow).await?;
    let overlay =
        Overlay { form: view(state, flow, form, problem), guide: state.service.catalogue().guide_html(flow.connector.id.as_str()) };
    layout::page(status, &Authenticate::with_overlay(state, flow, &tiles, overlay))
}

/// The form alone.
pub(crate) fn view<'a>(state: &WebState, flow: &'a Flow, form: &'a FormState, problem: Problem<'a>) -> FormView<'a> {
    FormView::new(flow, form, problem, state.hints(flow.connector.id.as_str()), state.service.now())
}

/// A form that is thrown away.
pub(crate) struct Discard {
    draft: Uuid,
    /// `leave`, or nothing to begin again with an empty form.
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
    flow: Flow,
    session: OpenSession,
    Form(form): Form<Discard>,
) -> Result<Response, PageError> {
    state.service.discard_draft(&session.session, form.draft).await?;
    let page = if form.then == "leave" { "authenticate" } else { "credentials/new" };
    let response = Redirect::to(&format!("{}/{page}", base(&flow))).into_response();
    Ok(session.attach(response))
}
