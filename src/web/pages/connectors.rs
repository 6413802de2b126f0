//! The catalogue of connectors, and choosing one of them for a new source or destination.

use askama::Template;
use axum::{extract::State, response::Response};

use crate::{
    domain::{access::permission::Permission, connectors::Connector, resources::ResourceKind},
    web::{
        http::{error::PageError, extract::Kind},
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::resources::flow::{Badge, new_title, noun},
    },
};

struct Choice<'a> {
    id: &'a str,
    name: &'a str,
    summary: &'a str,
    badge: Badge<'a>,
}

impl<'a> Choice<'a> {
    fn new(connector: &'a Connector) -> Self {
        Self { id: connector.id.as_str(), name: &connector.name, summary: &connector.summary, badge: Badge::of(connector) }
    }
}

#[derive(Template)]
#[template(path = "choose.html")]
struct Choose<'a> {
    layout: Layout,
    noun: &'static str,
    plural: &'static str,
    connectors: Vec<Choice<'a>>,
}

/// `GET /{kind}/new`.
pub(crate) async fn choose(State(state): State<WebState>, signed: SignedIn, Kind(kind): Kind) -> Result<Response, PageError> {
    let page = Choose {
        layout: Layout::new(&state, &signed, Section::Flows, format!("Connector · {}", new_title(kind))),
        noun: noun(kind),
        plural: kind.plural(),
        connectors: state.service.catalogue().for_kind(kind).map(|connector| Choice::new(connector)).collect(),
    };
    layout::ok(&page)
}

/// A connector with its fields and endpoints.
struct Entry<'a> {
    choice: Choice<'a>,
    fields: String,
    endpoints: Vec<&'a str>,
    source: bool,
    destination: bool,
}

impl<'a> Entry<'a> {
    fn new(connector: &'a Connector) -> Self {
        let asked: Vec<_> = connector.fields.iter().filter(|field| !field.advanced).map(|field| field.label.as_str()).collect();
        Self {
            choice: Choice::new(connector),
            fields: asked.join(", "),
            endpoints: connector.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect(),
            source: connector.used_for.contains(&ResourceKind::Source),
            destination: connector.used_for.contains(&ResourceKind::Destination),
        }
    }
}

#[derive(Template)]
#[template(path = "connectors.html")]
struct Connectors<'a> {
    layout: Layout,
    connectors: Vec<Entry<'a>>,
    /// True if the user may create sources and destinations.
    may_make: bool,
}

/// `GET /connectors`.
pub(crate) async fn catalogue(State(state): State<WebState>, signed: SignedIn) -> Result<Response, PageError> {
    let page = Connectors {
        layout: Layout::new(&state, &signed, Section::Connectors, "Connectors"),
        connectors: state.service.catalogue().all().iter().map(|connector| Entry::new(connector)).collect(),
        may_make: signed.caller.may(Permission::MakeResources),
    };
    layout::ok(&page)
}
