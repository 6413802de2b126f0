//! One source or destination: what it calls, its credential, a preview.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::resource::ResourceKind,
    service::{preview::Preview, resources::ResourceDetail},
    web::{
        age::Age,
        error::PageError,
        extract::{Fields, Form, FromFields, Id, Kind},
        layout::{self, Layout, Section},
        state::WebState,
        views::{
            flow::noun,
            preview::PreviewView,
            tile::{TileView, badge},
        },
    },
};

/// What has just happened, by the address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Happened {
    created: Option<String>,
    changed: Option<String>,
}

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage<'a> {
    layout: Layout,
    noun: &'static str,
    plural: &'static str,
    detail: &'a ResourceDetail,
    connector: &'a str,
    tile: TileView<'a>,
    method: &'static str,
    writes: bool,
    age: Age,
    body: &'a str,
    message: Option<&'static str>,
    error: Option<&'static str>,
    preview: Option<PreviewView<'a>>,
}

/// What a page shows beside the resource.
#[derive(Default)]
struct Outcome {
    message: Option<&'static str>,
    error: Option<&'static str>,
    preview: Option<Preview>,
}

/// `GET /{kind}/{id}`.
pub(crate) async fn show(
    State(state): State<WebState>,
    Kind(kind): Kind,
    Id(id): Id,
    Query(happened): Query<Happened>,
) -> Result<Response, PageError> {
    let detail = find(&state, kind, id).await?;
    let message = match (happened.created, happened.changed, kind) {
        (Some(_), _, ResourceKind::Source) => Some("The data source was created."),
        (Some(_), _, ResourceKind::Destination) => Some("The data destination was created."),
        (None, Some(_), _) => Some("It uses this credential from now on."),
        (None, None, _) => None,
    };
    respond(&state, kind, &detail, None, &Outcome { message, ..Outcome::default() })
}

/// What a preview sends.
pub(crate) struct PreviewForm {
    body: String,
    may_write: bool,
}

impl FromFields for PreviewForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { body: fields.take("body"), may_write: !fields.take("may_write").is_empty() })
    }
}

/// `POST /{kind}/{id}/preview`.
pub(crate) async fn preview(
    State(state): State<WebState>,
    Kind(kind): Kind,
    Id(id): Id,
    Form(form): Form<PreviewForm>,
) -> Result<Response, PageError> {
    let detail = find(&state, kind, id).await?;
    let resource = &detail.resource;
    let Some(connector) = state.service.catalogue().get(resource.connector.as_str()) else {
        let error = Some("Its connector is not part of this Keytile any more.");
        return respond(&state, kind, &detail, Some(&form.body), &Outcome { error, ..Outcome::default() });
    };
    let safe = resource.endpoint.method.is_safe();
    if !safe && !form.may_write {
        let error = Some("Tick the box first: this request writes to the real account.");
        return respond(&state, kind, &detail, Some(&form.body), &Outcome { error, ..Outcome::default() });
    }
    let body = Some(form.body.as_str()).filter(|body| !safe && !body.trim().is_empty());
    let preview = state.service.preview(connector, resource.credential, &resource.endpoint, body).await?;
    let preview = Some(preview.ok_or(PageError::NotFound)?);
    respond(&state, kind, &detail, Some(&form.body), &Outcome { preview, ..Outcome::default() })
}

/// Which credential to use from now on.
pub(crate) struct ChangeForm {
    credential: Uuid,
}

impl FromFields for ChangeForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { credential: fields.take_id("credential")? })
    }
}

/// `POST /{kind}/{id}/credential`.
pub(crate) async fn change_credential(
    State(state): State<WebState>,
    Kind(kind): Kind,
    Id(id): Id,
    Form(form): Form<ChangeForm>,
) -> Result<Response, PageError> {
    if state.service.change_credential(kind, id, form.credential).await? {
        return Ok(Redirect::to(&format!("/{}/{id}?changed=1", kind.plural())).into_response());
    }
    // Either is gone: the page says which, by its absence or by this sentence.
    let detail = find(&state, kind, id).await?;
    let error = Some("That credential does not exist any more. Choose another.");
    respond(&state, kind, &detail, None, &Outcome { error, ..Outcome::default() })
}

async fn find(state: &WebState, kind: ResourceKind, id: Uuid) -> Result<ResourceDetail, PageError> {
    state.service.resource(kind, id, None).await?.ok_or(PageError::NotFound)
}

fn respond(
    state: &WebState,
    kind: ResourceKind,
    detail: &ResourceDetail,
    body: Option<&str>,
    outcome: &Outcome,
) -> Result<Response, PageError> {
    let (catalogue, now) = (state.service.catalogue(), state.service.now());
    let resource = &detail.resource;
    let connector = catalogue.get(resource.connector.as_str());
    let sample = connector.and_then(|connector| {
        connector.endpoints.iter().find(|offer| offer.method == resource.endpoint.method && offer.path == resource.endpoint.path)
    });
    let page = ResourcePage {
        layout: Layout::new(state, Section::Flows, resource.name.as_str()).with_error(outcome.error.is_some()),
        noun: noun(kind),
        plural: kind.plural(),
        detail,
        connector: connector.map_or(resource.connector.as_str(), |connector| &connector.name),
        tile: TileView::new(&detail.credential, badge(catalogue, &resource.connector), now),
        method: resource.endpoint.method.as_str(),
        writes: !resource.endpoint.method.is_safe(),
        age: Age::of(resource.created_at, now),
        body: body.or(sample.map(|offer| offer.sample_body.as_str())).unwrap_or_default(),
        message: outcome.message,
        error: outcome.error,
        preview: outcome.preview.as_ref().map(PreviewView::new),
    };
    layout::page(if outcome.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}
