//! Home: the credentials that need attention, and an overview of sources and destinations.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;

use crate::{
    domain::{access::permission::Permission, resources::ResourceKind, time::Timestamp},
    service::{OVERVIEW_LIMIT, connectors::catalogue::Catalogue, resources::ResourceSummary},
    web::{
        http::error::PageError,
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{
            credentials::tile::{ResourceView, TileView, badge},
            resources::flow::noun,
        },
    },
};

/// The query: what has just happened.
#[derive(Debug, Deserialize)]
pub(crate) struct Happened {
    deleted: Option<String>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    layout: Layout,
    deleted: Option<&'static str>,
    attention: Vec<TileView<'a>>,
    lists: [List<'a>; 2],
    /// True if the user may create sources and destinations.
    may_make: bool,
}

/// The list of sources, or of destinations.
struct List<'a> {
    title: &'static str,
    noun: &'static str,
    plural: &'static str,
    explanation: &'static str,
    resources: Vec<ResourceView<'a>>,
}

impl Home<'_> {
    /// The number in the note above a list that may be cut; `None` for a complete list.
    fn limit<T>(entries: &[T]) -> Option<i64> {
        (entries.len() as i64 >= OVERVIEW_LIMIT).then_some(OVERVIEW_LIMIT)
    }

    fn is_empty(&self) -> bool {
        self.attention.is_empty() && self.lists.iter().all(|list| list.resources.is_empty())
    }
}

/// `GET /`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(happened): Query<Happened>,
) -> Result<Response, PageError> {
    let overview = state.service.overview(&signed.caller).await?;
    let now = state.service.now();
    let catalogue = state.service.catalogue();
    let deleted = happened.deleted.as_deref().and_then(ResourceKind::parse).map(noun);
    let page = Home {
        deleted,
        may_make: signed.caller.may(Permission::MakeResources),
        layout: Layout::new(&state, &signed, Section::Flows, "Data flows"),
        attention: overview.attention.iter().map(|tile| TileView::new(tile, badge(catalogue, &tile.connector), now)).collect(),
        lists: [
            List {
                title: "Sources",
                noun: "source",
                plural: "sources",
                explanation: "A source reads data.",
                resources: views(&overview.sources, catalogue, now),
            },
            List {
                title: "Destinations",
                noun: "destination",
                plural: "destinations",
                explanation: "A destination writes data.",
                resources: views(&overview.destinations, catalogue, now),
            },
        ],
    };
    layout::ok(&page)
}

fn views<'a>(resources: &'a [ResourceSummary], catalogue: &'a Catalogue, now: Timestamp) -> Vec<ResourceView<'a>> {
    resources.iter().map(|resource| ResourceView::new(resource, catalogue, now)).collect()
}
