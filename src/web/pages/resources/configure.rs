//! Configure: name, description and endpoint of a new source or destination. Test sends the real request and shows
//! the response; Create stores the resource.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::authenticate;
use crate::{
    domain::{
        access::permission::Permission,
        connectors::{Connector, EndpointOffer},
        credentials::form::FieldError,
        resources::{Method, ResourceKind},
    },
    service::{
        credentials::{Tile, TileQuery},
        resources::{RawResource, ResourceCreation, preview::Preview},
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Flow, Form, FromFields, id_of},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{
            credentials::tile::TileView,
            resources::{
                flow::{self, Badge, FlowView, new_title},
                preview::PreviewView,
            },
        },
    },
};

/// The query, with the credential.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    credential: Option<String>,
}

#[derive(Default)]
pub(crate) struct ConfigureForm {
    id: Uuid,
    /// The credential chosen in place of one that can't be used.
    credential: Option<Uuid>,
    raw: RawResource,
    /// The endpoint whose query parameters are in the form.
    shown_for: String,
    /// The body of a Test, for methods that send one.
    body: String,
    /// Whether a Test may send a request that writes.
    may_write: bool,
    action: String,
}

impl FromFields for ConfigureForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let id = fields.take_id("form")?;
        let (names, values) = (fields.take_all("query_name"), fields.take_all("query_value"));
        Ok(Self {
            id,
            credential: id_of(Some(&fields.take("credential"))),
            raw: RawResource {
                name: fields.take("name"),
                description: fields.take("description"),
                endpoint: fields.take("endpoint"),
                method: fields.take("method"),
                path: fields.take("path"),
                query: names.into_iter().zip(values).collect(),
            },
            shown_for: fields.take("shown_for"),
            body: fields.take("body"),
            may_write: !fields.take("may_write").is_empty(),
            action: fields.take("action"),
        })
    }
}

impl ConfigureForm {
    /// The initial form: with the first endpoint that the connector offers.
    fn first(id: Uuid, connector: &Connector, kind: ResourceKind) -> Self {
        let mut form = Self { id, ..Self::default() };
        if let Some(offer) = connector.endpoints_for(kind).next() {
            form.raw.endpoint.clone_from(&offer.name);
            form.raw.query.clone_from(&offer.query);
            form.body.clone_from(&offer.sample_body);
        }
        form.shown_for.clone_from(&form.raw.endpoint);
        form
    }

    /// Without script, the query parameters are still those of the previously selected endpoint. If they are
    /// unchanged, replaces them with those of the endpoint that is selected now, and the body likewise.
    fn follow_choice(&mut self, connector: &Connector, kind: ResourceKind) {
        if self.shown_for == self.raw.endpoint {
            return;
        }
        let (before, now) = (offer(connector, kind, &self.shown_for), offer(connector, kind, &self.raw.endpoint));
        let typed = self.raw.query.iter().filter(|(name, value)| !name.is_empty() || !value.is_empty());
        if typed.eq(before.map_or(&[][..], |offer| &offer.query)) {
            self.raw.query = now.map(|offer| offer.query.clone()).unwrap_or_default();
        }
        if self.body == before.map_or("", |offer| &offer.sample_body) {
            self.body = now.map(|offer| offer.sample_body.clone()).unwrap_or_default();
        }
        self.shown_for.clone_from(&self.raw.endpoint);
    }
}

fn offer<'a>(connector: &'a Connector, kind: ResourceKind, name: &str) -> Option<&'a EndpointOffer> {
    connector.endpoints_for(kind).find(|offer| offer.name == name)
}

/// What the page shows in addition to the form.
#[derive(Default)]
struct Outcome {
    errors: Vec<FieldError>,
    preview: Option<Preview>,
    /// True if a row was added, which then gets the focus.
    row_added: bool,
}

impl Outcome {
    fn errors(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::default() }
    }
}

#[derive(Template)]
#[template(path = "configure.html")]
struct Configure<'a> {
    layout: Layout,
    flow: FlowView<'a>,
    /// The credential; `None` if another one must be chosen first.
    tile: Option<TileView<'a>>,
    /// The credentials that can be chosen instead.
    others: &'a [Tile],
    /// The URL that the form is sent to.
    address: String,
    /// The URL of the connector's credentials, with this one selected.
    authenticate: String,
    form: &'a ConfigureForm,
    offers: Vec<OfferView<'a>>,
    own: bool,
    methods: [&'static str; 5],
    rows: Vec<(&'a str, &'a str)>,
    row_added: bool,
    errors: &'a [FieldError],
    preview: Option<PreviewView<'a>>,
}

/// An endpoint that the connector offers.
struct OfferView<'a> {
    offer: &'a EndpointOffer,
    method: &'static str,
    /// Query parameters as JSON, for the script that reacts to the selection.
    query: String,
    chosen: bool,
    writes: bool,
}

impl Configure<'_> {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// The part of the page that shows a field's error.
    fn anchor<'b>(&self, field: &'b str) -> &'b str {
        match field {
            "endpoint" | "method" | "query" => "endpoint-group",
            "credential" if self.others.is_empty() => "credential-in-use",
            other => other,
        }
    }
}

/// `GET /{kind}/new/{connector}/configure?credential=…`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    flow: Flow,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let wanted = id_of(wanted.credential.as_deref());
    let or_add = if signed.caller.may(Permission::MakeCredentials) { ", or add one" } else { "" };
    if wanted.is_none() {
        return authenticate::without_choice(&state, &signed, &flow, &format!("Choose a credential{or_add}.")).await;
    }
    let tile = match credential(&state, &signed, &flow, wanted).await? {
        Ok(tile) => tile,
        Err(unusable) => {
            let sentence = unusable.sentence(&format!("Choose another{or_add}."));
            return authenticate::without_choice(&state, &signed, &flow, &sentence).await;
        }
    };
    let form = ConfigureForm::first(state.service.new_form(), &flow.connector, flow.kind);
    respond(&state, &signed, &flow, Ok(&tile), &form, &Outcome::default())
}

/// `POST` to the same path: Test, Create, or adding a row.
pub(crate) async fn act(
    State(state): State<WebState>,
    signed: SignedIn,
    flow: Flow,
    Query(wanted): Query<Wanted>,
    Form(mut form): Form<ConfigureForm>,
) -> Result<Response, PageError> {
    form.follow_choice(&flow.connector, flow.kind);
    let wanted = form.credential.or_else(|| id_of(wanted.credential.as_deref()));
    let tile = match credential(&state, &signed, &flow, wanted).await? {
        Ok(tile) => tile,
        Err(unusable) => return choose_again(&state, &signed, &flow, &form, unusable).await,
    };
    let id = tile.id;
    let outcome = match form.action.as_str() {
        "create" => {
            match state.service.create_resource(&signed.caller, flow.kind, &flow.connector, id, form.id, &form.raw, None).await? {
                ResourceCreation::Created(id) => {
                    return Ok(Redirect::to(&format!("/{}/{id}?created=1", flow.kind.plural())).into_response());
                }
                ResourceCreation::Invalid(errors) if errors.iter().any(|error| error.field == "credential") => {
                    return choose_again(&state, &signed, &flow, &form, Unusable::Gone).await;
                }
                ResourceCreation::Invalid(errors) => Outcome::errors(errors),
            }
        }
        "test" => match state.service.parse_endpoint(&flow.connector, flow.kind, &form.raw) {
            Err(errors) => Outcome::errors(errors),
            Ok(endpoint) if !endpoint.method.is_safe() && !form.may_write => {
                Outcome::errors(vec![FieldError::new("may_write", "Select this box first. This test writes to the real account.")])
            }
            Ok(endpoint) => {
                let body = Some(form.body.as_str()).filter(|body| !endpoint.method.is_safe() && !body.trim().is_empty());
                let preview = state.service.preview(&signed.caller, None, &flow.connector, id, &endpoint, body).await?;
                if preview.is_none() {
                    return choose_again(&state, &signed, &flow, &form, Unusable::Gone).await;
                }
                Outcome { preview, ..Outcome::default() }
            }
        },
        _ => {
            form.raw.query.push((String::new(), String::new()));
            Outcome { row_added: true, ..Outcome::default() }
        }
    };
    respond(&state, &signed, &flow, Ok(&tile), &form, &outcome)
}

/// Why a credential can't be used.
#[derive(Debug, Clone, Copy)]
enum Unusable {
    /// It was deleted, or never belonged to this connector.
    Gone,
    /// Its sealed values can't be opened.
    Damaged,
    /// The query names none.
    NotChosen,
}

impl Unusable {
    /// The problem and its remedy.
    fn sentence(self, remedy: &str) -> String {
        match self {
            Self::Gone => format!("This credential isn't available. It may be deleted or not shared with you. {remedy}"),
            Self::NotChosen => format!("No credential is chosen. {remedy}"),
            Self::Damaged => format!("Keytile can't decrypt this credential. {remedy}"),
        }
    }
}

async fn credential(
    state: &WebState,
    signed: &SignedIn,
    flow: &Flow,
    id: Option<Uuid>,
) -> Result<Result<Tile, Unusable>, PageError> {
    let Some(id) = id else { return Ok(Err(Unusable::NotChosen)) };
    let found = state.service.tile_for_resource(&signed.caller, id).await?;
    Ok(match found.filter(|tile| tile.connector == flow.connector.id) {
        Some(tile) if tile.opens => Ok(tile),
        Some(_) => Err(Unusable::Damaged),
        None => Err(Unusable::Gone),
    })
}

/// The form as typed, with a choice of other credentials in place of the one that can't be used.
async fn choose_again(
    state: &WebState,
    signed: &SignedIn,
    flow: &Flow,
    form: &ConfigureForm,
    unusable: Unusable,
) -> Result<Response, PageError> {
    let query = TileQuery { connector: Some(flow.connector.id.clone()), ..TileQuery::default() };
    let mut others = state.service.tiles(&signed.caller, &query).await?.tiles;
    others.retain(|tile| tile.opens);
    let message = unusable.sentence("Choose another one here. What you typed is kept.");
    respond(state, signed, flow, Err(&others), form, &Outcome::errors(vec![FieldError::new("credential", message)]))
}

/// The page, with its credential or those to choose from.
fn respond(
    state: &WebState,
    signed: &SignedIn,
    flow: &Flow,
    tile: Result<&Tile, &[Tile]>,
    form: &ConfigureForm,
    outcome: &Outcome,
) -> Result<Response, PageError> {
    let connector: &Connector = &flow.connector;
    let chosen = offer(connector, flow.kind, &form.raw.endpoint);
    let view = |offer: &'_ EndpointOffer| serde_json::to_string(&offer.query).map_err(PageError::internal);
    let mut offers = Vec::new();
    for offer in connector.endpoints_for(flow.kind) {
        offers.push(OfferView {
            offer,
            method: offer.method.as_str(),
            query: view(offer)?,
            chosen: chosen.is_some_and(|chosen| chosen.name == offer.name),
            writes: !offer.method.is_safe(),
        });
    }
    let mut rows: Vec<_> = form.raw.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if rows.is_empty() {
        rows.push(("", ""));
    }
    let wrong = !outcome.errors.is_empty();
    let base = flow::base(flow);
    let chosen_by = tile.map_or_else(|_| String::new(), |tile| format!("?credential={}", tile.id));
    let page = Configure {
        layout: Layout::new(state, signed, Section::Flows, format!("Configure · {}", new_title(flow.kind))).with_error(wrong),
        flow: FlowView::new(flow),
        tile: tile.ok().map(|tile| TileView::new(tile, Badge::of(connector), state.service.now())),
        others: tile.err().unwrap_or_default(),
        address: format!("{base}/configure{chosen_by}"),
        authenticate: format!("{base}/authenticate{chosen_by}"),
        form,
        offers,
        own: chosen.is_none(),
        methods: Method::ALL.map(Method::as_str),
        rows,
        row_added: outcome.row_added,
        errors: &outcome.errors,
        preview: outcome.preview.as_ref().map(PreviewView::new),
    };
    layout::page(if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connectors::file;

    fn connector() -> Connector {
        let text = include_str!("../../../../connectors/oauth2-client-credentials.toml");
        let offers = r#"
            [[endpoint]]
            used_for = ["source"]
            name = "Paged"
            method = "GET"
            path = "/paged"
            query = { page = "1" }
            [[endpoint]]
            used_for = ["source"]
            name = "Whole"
            method = "GET"
            path = "/whole"
        "#;
        file::read("test.toml", &format!("{text}{offers}")).unwrap().connector
    }

    fn posted(endpoint: &str, query: &str) -> ConfigureForm {
        let body = format!("form=01890000-0000-7000-8000-000000000001&shown_for=Paged&endpoint={endpoint}&{query}");
        ConfigureForm::from_fields(Fields::read(body.as_bytes())).ok().unwrap()
    }

    #[test]
    fn untouched_parameters_follow_the_endpoint() {
        let mut form = posted("Whole", "query_name=page&query_value=1&query_name=&query_value=");
        form.follow_choice(&connector(), ResourceKind::Source);
        assert_eq!(form.raw.query, []);
        assert_eq!(form.shown_for, "Whole");
    }

    #[test]
    fn touched_parameters_stay() {
        let mut form = posted("Whole", "query_name=page&query_value=2");
        form.follow_choice(&connector(), ResourceKind::Source);
        assert_eq!(form.raw.query, [("page".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn the_first_offer_is_chosen_at_first() {
        let form = ConfigureForm::first(Uuid::nil(), &connector(), ResourceKind::Source);
        assert_eq!((form.raw.endpoint.as_str(), form.shown_for.as_str()), ("Paged", "Paged"));
        let form = ConfigureForm::first(Uuid::nil(), &connector(), ResourceKind::Destination);
        assert_eq!(form.raw.endpoint, "");
    }
}
