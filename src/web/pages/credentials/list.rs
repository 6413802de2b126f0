//! All credentials that the user may use, of all connectors.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::access::permission::Permission,
    service::credentials::TileQuery,
    web::{
        http::{error::PageError, extract::id_of},
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::credentials::tile::{TileView, badge},
    },
};

/// The query of the page.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    q: Option<String>,
    after: Option<String>,
    deleted: Option<String>,
}

#[derive(Template)]
#[template(path = "credentials.html")]
struct Credentials<'a> {
    layout: Layout,
    search: &'a str,
    tiles: Vec<TileView<'a>>,
    next: Option<Uuid>,
    is_first_page: bool,
    deleted: bool,
    /// True if the user may add a credential.
    may_add: bool,
}

/// `GET /credentials`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let search = wanted.q.as_deref().unwrap_or_default().trim();
    let after = id_of(wanted.after.as_deref());
    let query = TileQuery { search: Some(search.to_owned()).filter(|search| !search.is_empty()), after, ..TileQuery::default() };
    let page = state.service.tiles(&signed.caller, &query).await?;
    let (catalogue, now) = (state.service.catalogue(), state.service.now());
    let view = Credentials {
        layout: Layout::new(&state, &signed, Section::Credentials, "Credentials"),
        search,
        tiles: page.tiles.iter().map(|tile| TileView::new(tile, badge(catalogue, &tile.connector), now)).collect(),
        next: page.next,
        is_first_page: after.is_none(),
        deleted: wanted.deleted.is_some(),
        may_add: signed.caller.may(Permission::MakeCredentials),
    };
    layout::ok(&view)
}
