//! All sources, or all destinations, newest first.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::{access::permission::Permission, resources::ResourceKind},
    web::{
        http::{
            error::PageError,
            extract::{Kind, id_of},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::credentials::tile::ResourceView,
    },
};

/// The query of the page.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "resources.html")]
struct Resources<'a> {
    layout: Layout,
    title: &'static str,
    noun: &'static str,
    plural: &'static str,
    explanation: &'static str,
    resources: Vec<ResourceView<'a>>,
    next: Option<Uuid>,
    is_first_page: bool,
    /// True if the user may create one.
    may_make: bool,
}

/// `GET /{kind}`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let after = id_of(wanted.after.as_deref());
    let page = state.service.resources(&signed.caller, kind, after).await?;
    let (catalogue, now) = (state.service.catalogue(), state.service.now());
    let (title, noun, explanation) = match kind {
        ResourceKind::Source => ("Sources", "source", "Where data comes from, newest first."),
        ResourceKind::Destination => ("Destinations", "destination", "Where data goes, newest first."),
    };
    let view = Resources {
        layout: Layout::new(&state, &signed, Section::Flows, title),
        title,
        noun,
        plural: kind.plural(),
        explanation,
        resources: page.resources.iter().map(|resource| ResourceView::new(resource, catalogue, now)).collect(),
        next: page.next,
        is_first_page: after.is_none(),
        may_make: signed.caller.may(Permission::MakeResources),
    };
    layout::ok(&view)
}

impl Resources<'_> {
    /// The number of resources in words.
    fn count(&self) -> String {
        let plural = self.plural;
        match (self.resources.len(), self.next.is_none() && self.is_first_page) {
            (1, true) => format!("1 {}", self.noun),
            (count, true) => format!("{count} {plural}"),
            (count, false) if self.is_first_page => format!("The newest {count} {plural}"),
            (1, false) => format!("1 older {}", self.noun),
            (count, false) => format!("{count} older {plural}"),
        }
    }
}
