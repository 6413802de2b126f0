//! One source or destination: its endpoint, its credential, and a preview.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::resources::{Resource, ResourceKind},
    service::{
        ServiceError,
        resources::{ResourceDetail, ResourceSummary, preview::Preview},
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, Id, Kind},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{
            credentials::tile::{TileView, badge},
            relative_time::Age,
            resources::{flow::noun, preview::PreviewView},
        },
    },
};

/// The query: what has just happened.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Happened {
    created: Option<String>,
    changed: Option<String>,
    policy: Option<String>,
    /// Narrows the other credentials.
    q: Option<String>,
}

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage<'a> {
    layout: Layout,
    noun: &'static str,
    plural: &'static str,
    detail: &'a ResourceDetail,
    connector: &'a str,
    search: &'a str,
    tile: TileView<'a>,
    method: &'static str,
    writes: bool,
    age: Age,
    /// The URL that API clients send its requests to.
    proxy: String,
    body: &'a str,
    message: Option<&'static str>,
    error: Option<&'static str>,
    preview: Option<PreviewView<'a>>,
}

/// The number of other credentials from which the list may be cut: a page has fifty, and the resource's own
/// credential is left out.
const MANY: usize = 49;

impl ResourcePage<'_> {
    /// True if there may be more credentials than in the list.
    fn is_cut(&self) -> bool {
        self.detail.alternatives.len() >= MANY
    }

    /// True if the other credentials were searched, or the list is long enough for a search.
    fn has_search(&self) -> bool {
        !self.search.is_empty() || self.is_cut()
    }
}

/// The page of a resource whose endpoint can't be opened.
#[derive(Template)]
#[template(path = "resource_damaged.html")]
struct DamagedPage<'a> {
    layout: Layout,
    noun: &'static str,
    plural: &'static str,
    resource: &'a ResourceSummary,
    connector: &'a str,
    may_change: bool,
}

/// What the page shows in addition to the resource.
#[derive(Default)]
struct Outcome {
    /// The body of a preview, as typed.
    body: Option<String>,
    /// The search in the other credentials.
    search: String,
    message: Option<&'static str>,
    error: Option<&'static str>,
    preview: Option<Preview>,
}

/// `GET /{kind}/{id}`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
    Query(happened): Query<Happened>,
) -> Result<Response, PageError> {
    let search = happened.q.as_deref().unwrap_or_default().trim().to_owned();
    let Some(detail) = find(&state, &signed, kind, id, &search).await? else { return damaged(&state, &signed, kind, id).await };
    let message = match (happened, kind) {
        (Happened { created: Some(_), .. }, ResourceKind::Source) => Some("Data source created."),
        (Happened { created: Some(_), .. }, ResourceKind::Destination) => Some("Data destination created."),
        (Happened { changed: Some(_), .. }, _) => Some("Credential changed."),
        (Happened { policy: Some(_), .. }, _) => Some("Egress policy changed."),
        _ => None,
    };
    respond(&state, &signed, kind, &detail, &Outcome { message, search, ..Outcome::default() })
}

/// The body of a preview.
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
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
    Form(form): Form<PreviewForm>,
) -> Result<Response, PageError> {
    state.service.may_preview(&signed.caller).await?;
    let Some(detail) = find(&state, &signed, kind, id, "").await? else { return damaged(&state, &signed, kind, id).await };
    let resource = &detail.resource;
    let answer = |outcome: Outcome| respond(&state, &signed, kind, &detail, &Outcome { body: Some(form.body.clone()), ..outcome });
    let refuse = |error| answer(Outcome { error: Some(error), ..Outcome::default() });
    let Some(connector) = state.service.catalogue().get(resource.connector.as_str()) else {
        return refuse("Its connector isn't installed.");
    };
    if !detail.credential.opens {
        return refuse("Keytile can't decrypt its credential. Use another credential.");
    }
    let safe = resource.endpoint.method.is_safe();
    if !safe && !form.may_write {
        return refuse("Select the box first. This request writes to the real account.");
    }
    let body = Some(form.body.as_str()).filter(|body| !safe && !body.trim().is_empty());
    let preview =
        state.service.preview(&signed.caller, Some(resource), connector, resource.credential, &resource.endpoint, body).await?;
    let preview = Some(preview.ok_or(PageError::NotFound)?);
    answer(Outcome { preview, ..Outcome::default() })
}

/// The credential to switch to.
pub(crate) struct ChangeForm {
    credential: Uuid,
    /// The search in the other credentials.
    search: String,
}

impl FromFields for ChangeForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { credential: fields.take_id("credential")?, search: fields.take("q").trim().to_owned() })
    }
}

/// `POST /{kind}/{id}/credential`.
pub(crate) async fn change_credential(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
    Form(form): Form<ChangeForm>,
) -> Result<Response, PageError> {
    if state.service.change_credential(&signed.caller, kind, id, form.credential).await? {
        return Ok(Redirect::to(&format!("/{}/{id}?changed=1", kind.plural())).into_response());
    }
    // The resource or the credential no longer exists: the page shows which, by a 404 or by this message.
    let search = form.search;
    let Some(detail) = find(&state, &signed, kind, id, &search).await? else { return damaged(&state, &signed, kind, id).await };
    let error = Some("That credential isn't available. Choose another one.");
    respond(&state, &signed, kind, &detail, &Outcome { error, search, ..Outcome::default() })
}

/// The resource; `None` if it exists but can't be opened, which is logged.
async fn find(
    state: &WebState,
    signed: &SignedIn,
    kind: ResourceKind,
    id: Uuid,
    search: &str,
) -> Result<Option<ResourceDetail>, PageError> {
    let search = Some(search).filter(|search| !search.is_empty());
    match state.service.resource(&signed.caller, kind, id, search).await {
        Ok(detail) => detail.map(Some).ok_or(PageError::NotFound),
        Err(error @ (ServiceError::Sealed { .. } | ServiceError::Unreadable { .. })) => {
            tracing::error!(resource = %id, error = &error as &dyn std::error::Error, "cannot decrypt an endpoint");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The page of a resource that can't be opened, so that it can be deleted.
async fn damaged(state: &WebState, signed: &SignedIn, kind: ResourceKind, id: Uuid) -> Result<Response, PageError> {
    let found = state.service.resource_summary(&signed.caller, kind, id).await?;
    let (resource, may_change) = found.ok_or(PageError::NotFound)?;
    let connector = state.service.catalogue().get(resource.connector.as_str());
    let page = DamagedPage {
        layout: Layout::new(state, signed, Section::Flows, resource.name.as_str()),
        noun: noun(kind),
        plural: kind.plural(),
        connector: connector.map_or(resource.connector.as_str(), |connector| &connector.name),
        resource: &resource,
        may_change,
    };
    layout::ok(&page)
}

fn respond(
    state: &WebState,
    signed: &SignedIn,
    kind: ResourceKind,
    detail: &ResourceDetail,
    outcome: &Outcome,
) -> Result<Response, PageError> {
    let (catalogue, now) = (state.service.catalogue(), state.service.now());
    let resource = &detail.resource;
    let connector = catalogue.get(resource.connector.as_str());
    let sample = connector.and_then(|connector| {
        connector.endpoints.iter().find(|offer| offer.method == resource.endpoint.method && offer.path == resource.endpoint.path)
    });
    let page = ResourcePage {
        layout: Layout::new(state, signed, Section::Flows, resource.name.as_str()).with_error(outcome.error.is_some()),
        noun: noun(kind),
        plural: kind.plural(),
        detail,
        connector: connector.map_or(resource.connector.as_str(), |connector| &connector.name),
        tile: TileView::new(&detail.credential, badge(catalogue, &resource.connector), now),
        method: resource.endpoint.method.as_str(),
        writes: !resource.endpoint.method.is_safe(),
        age: Age::of(resource.created_at, now),
        proxy: proxy_address(state, detail),
        search: &outcome.search,
        body: outcome.body.as_deref().or(sample.map(|offer| offer.sample_body.as_str())).unwrap_or_default(),
        message: outcome.message,
        error: outcome.error,
        preview: outcome.preview.as_ref().map(PreviewView::new),
    };
    layout::page(if outcome.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

/// The proxy URL of the resource's own endpoint.
fn proxy_address(state: &WebState, detail: &ResourceDetail) -> String {
    let Resource { id, endpoint, .. } = &detail.resource;
    let base = state.settings.public_url.as_str().trim_end_matches('/');
    let mut address = format!("{base}/proxy/{id}{}", endpoint.path.as_str());
    if !endpoint.query.is_empty() {
        address.push('?');
        address.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(&endpoint.query).finish());
    }
    address
}
