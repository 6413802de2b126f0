//! Authenticate: the credentials of a connector as tiles, one of which the new resource will use.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::{access::permission::Permission, credentials::verification::Diagnosis, time::Timestamp},
    service::credentials::{TilePage, TileQuery},
    web::{
        http::{
            error::PageError,
            extract::{Flow, id_of},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{
            credentials::{form::FormView, tile::TileView, verification::DiagnosisView},
            resources::flow::{Badge, FlowView, new_title},
        },
    },
};

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    credential: Option<String>,
    q: Option<String>,
    after: Option<String>,
    saved: Option<String>,
}

/// The page, which is also shown below an overlay.
#[derive(Template)]
#[template(path = "authenticate.html")]
pub(crate) struct Authenticate<'a> {
    layout: Layout,
    flow: FlowView<'a>,
    search: &'a str,
    tiles: Vec<TileView<'a>>,
    next: Option<Uuid>,
    is_first_page: bool,
    selected: Option<Uuid>,
    /// Why the user could not continue.
    error: Option<&'a str>,
    /// The name of the credential that was just saved.
    saved: Option<&'a str>,
    notice: Option<DiagnosisView<'a>>,
    duplicates: &'a [String],
    /// True if the user may add a credential.
    may_add: bool,
    /// True if the user may continue with a credential.
    may_choose: bool,
    overlay: Option<Overlay<'a>>,
}

/// The overlay on top of the page.
pub(crate) struct Overlay<'a> {
    pub(crate) form: FormView<'a>,
    /// Sanitized HTML.
    pub(crate) guide: &'a str,
}

/// `GET /{kind}/new/{connector}/authenticate`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    flow: Flow,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    respond(&state, &signed, &flow, &wanted, None).await
}

/// The page with an error, after an attempt to continue without an existing credential.
pub(crate) async fn without_choice(state: &WebState, signed: &SignedIn, flow: &Flow, error: &str) -> Result<Response, PageError> {
    respond(state, signed, flow, &Wanted::default(), Some(error)).await
}

async fn respond(
    state: &WebState,
    signed: &SignedIn,
    flow: &Flow,
    wanted: &Wanted,
    error: Option<&str>,
) -> Result<Response, PageError> {
    let selected = id_of(wanted.credential.as_deref());
    let search = wanted.q.as_deref().unwrap_or_default().trim();
    let after = id_of(wanted.after.as_deref());
    let page = state.service.tiles(&signed.caller, &query(flow, search, after, selected)).await?;
    let just_saved = selected.filter(|_| wanted.saved.is_some());
    let (notice, duplicates) = match just_saved {
        Some(id) => (state.service.notice(&signed.caller, id).await?, state.service.same_account_as(&signed.caller, id).await?),
        None => (None, Vec::new()),
    };
    let mut view = Authenticate::new(state, signed, flow, &page, selected, state.service.now());
    view.layout = view.layout.with_error(error.is_some());
    view.error = error;
    view.search = search;
    view.is_first_page = after.is_none();
    view.saved = page.tiles.iter().find(|tile| Some(tile.id) == just_saved).map(|tile| tile.name.as_str());
    view.notice = notice.as_ref().map(|notice: &Diagnosis| DiagnosisView::new(notice));
    view.duplicates = &duplicates;
    layout::page(if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &view)
}

fn query(flow: &Flow, search: &str, after: Option<Uuid>, selected: Option<Uuid>) -> TileQuery {
    TileQuery {
        connector: Some(flow.connector.id.clone()),
        search: Some(search.to_owned()).filter(|search| !search.is_empty()),
        after,
        selected,
        ..TileQuery::default()
    }
}

/// The tiles of the page below an overlay.
pub(crate) async fn tiles_below(state: &WebState, signed: &SignedIn, flow: &Flow) -> Result<TilePage, PageError> {
    Ok(state.service.tiles(&signed.caller, &query(flow, "", None, None)).await?)
}

impl<'a> Authenticate<'a> {
    fn new(
        state: &WebState,
        signed: &SignedIn,
        flow: &'a Flow,
        page: &'a TilePage,
        selected: Option<Uuid>,
        now: Timestamp,
    ) -> Self {
        let badge = Badge::of(&flow.connector);
        let mut tiles: Vec<_> = page.tiles.iter().map(|tile| TileView::new(tile, badge, now).chosen(selected)).collect();
        if let Some(first) = tiles.first_mut() {
            first.beside = page.selected_beside;
        }
        Self {
            layout: Layout::new(state, signed, Section::Flows, format!("Authenticate · {}", new_title(flow.kind))),
            flow: FlowView::new(flow),
            search: "",
            tiles,
            next: page.next,
            is_first_page: true,
            selected,
            error: None,
            saved: None,
            notice: None,
            duplicates: &[],
            may_add: signed.caller.may(Permission::MakeCredentials),
            may_choose: signed.caller.may(Permission::MakeResources),
            overlay: None,
        }
    }

    /// The page with the overlay on top.
    pub(crate) fn with_overlay(
        state: &WebState,
        signed: &SignedIn,
        flow: &'a Flow,
        page: &'a TilePage,
        overlay: Overlay<'a>,
    ) -> Self {
        let mut view = Self::new(state, signed, flow, page, None, state.service.now());
        let title = format!("Add New Credential · {}", new_title(flow.kind));
        view.layout = Layout::new(state, signed, Section::Flows, title).with_error(overlay.form.has_problem()).covered();
        view.overlay = Some(overlay);
        view
    }

    /// The number of tiles that belong to this page; the selected one may be shown in addition.
    fn hits(&self) -> usize {
        self.tiles.iter().filter(|tile| !tile.beside).count()
    }

    /// The number of tiles in words.
    fn count(&self) -> String {
        match (self.hits(), self.next.is_none() && self.is_first_page) {
            (1, true) => "1 credential".into(),
            (count, true) => format!("{count} credentials"),
            (count, false) if self.is_first_page => format!("The newest {count} credentials"),
            (count, false) => format!("{count} older credentials"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            access::permission::{Access, Sharing},
            connectors::ConnectorId,
            credentials::CredentialStatus,
        },
        service::credentials::Tile,
        store::Owner,
    };

    fn tile(number: u64) -> Tile {
        Tile {
            id: Uuid::from_u64_pair(number, number),
            connector: ConnectorId::new("example").unwrap(),
            name: format!("Support <{number}> & more"),
            description: "Call and agent data of the European support desk".into(),
            account: Some("acme-support".into()),
            opens: true,
            access: Access::Use,
            owner: Some(Owner { id: Uuid::nil(), name: "<i>Ben</i>".into(), email: "ben@example.com".into() }),
            sharing: Sharing::Private,
            status: CredentialStatus::Verified,
            verified_at: Timestamp::from_millis(1_767_323_045_678),
            used_by: number,
        }
    }

    fn view(tiles: &[Tile]) -> Authenticate<'_> {
        let badge = Badge { text: "EX", colour: 1 };
        let now = Timestamp::from_millis(1_767_330_245_678);
        Authenticate {
            layout: Layout {
                title: "Authenticate · New source".into(),
                section: Section::Flows,
                sandbox: true,
                error: false,
                covered: false,
                person: None,
                form_token: "token".into(),
                assets: crate::web::assets::Assets::get(),
            },
            flow: FlowView {
                noun: "data source",
                plural: "sources",
                connector: "Example",
                base: "/sources/new/example".into(),
                badge,
            },
            search: "",
            tiles: tiles.iter().map(|tile| TileView::new(tile, badge, now)).collect(),
            next: None,
            is_first_page: true,
            selected: None,
            error: None,
            saved: None,
            notice: None,
            duplicates: &[],
            may_add: true,
            may_choose: true,
            overlay: None,
        }
    }

    #[test]
    fn what_people_typed_is_never_markup() {
        let html = view(&[tile(1)]).render().unwrap();
        assert!(!html.contains("<1>") && !html.contains("<i>"), "{html}");
        assert!(html.contains("shared by &#60;i&#62;Ben"), "{html}");
        assert!(html.contains("Support &#60;1&#62; &#38; more"), "{html}");
    }

    #[test]
    fn a_page_has_one_heading_a_live_region_and_no_inline_code() {
        let html = view(&[tile(1), tile(2)]).render().unwrap();
        assert_eq!(html.matches("<h1").count(), 1);
        assert!(html.contains("<title>Authenticate · New source · Keytile</title>"));
        assert!(html.contains("aria-live=\"polite\""));
        assert!(!html.contains("<style") && !html.contains(" style=\"") && !html.contains(" onclick"), "{html}");
        assert_eq!(html.matches("name=\"credential\"").count(), 2);
        assert!(html.contains("2 h ago"));
    }
}
