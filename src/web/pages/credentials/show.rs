//! One credential: what is in it (but for its secrets) and how its last verification went, for who manages it; whose
//! it is and what uses it, for who may use it.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    domain::{access::permission::Access, credentials::verification::Verification},
    service::credentials::CredentialDetail,
    web::{
        http::{error::PageError, extract::Id},
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{
            credentials::{
                tile::{ResourceView, TileView, badge},
                verification::{DiagnosisView, StageView, stages},
            },
            relative_time::Age,
        },
    },
};

/// What has just happened, by the address.
#[derive(Debug, Deserialize)]
pub(crate) struct Happened {
    tested: Option<String>,
    edited: Option<String>,
}

/// What an edit has done, by the word in the address.
fn edited(word: &str) -> Option<(&'static str, &'static str)> {
    match word {
        "verified" => Some(("Saved and verified.", "The new values are now in use. The old ones are erased.")),
        "named" => Some(("Saved.", "The values are the same, so Keytile didn't verify them again.")),
        "same" => Some(("No changes.", "The credential already has these values.")),
        _ => None,
    }
}

/// Why a credential can be neither tested nor used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// Its connector is not part of this Keytile any more.
    NoConnector,
    /// Its sealed values do not open.
    Damaged,
}

#[derive(Template)]
#[template(path = "credential.html")]
struct CredentialPage<'a> {
    layout: Layout,
    tile: TileView<'a>,
    detail: &'a CredentialDetail,
    connector: &'a str,
    obstacle: Option<Obstacle>,
    created: Age,
    verified: Option<Age>,
    stages: Vec<StageView<'a>>,
    failure: Option<DiagnosisView<'a>>,
    notice: Option<DiagnosisView<'a>>,
    used_by: Vec<ResourceView<'a>>,
    tested: bool,
    /// What an edit has done.
    edited: Option<(&'static str, &'static str)>,
    /// True for who may see its fields, test, share and delete it.
    manages: bool,
}

/// `GET /credentials/{id}`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Query(happened): Query<Happened>,
) -> Result<Response, PageError> {
    let detail = state.service.credential(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    let (catalogue, now) = (state.service.catalogue(), state.service.now());
    let tile = &detail.tile;
    let verification: Option<&Verification> = detail.verification.as_ref().map(|past| &past.verification);
    let connector = catalogue.get(tile.connector.as_str());
    let obstacle = if !tile.opens {
        Some(Obstacle::Damaged)
    } else if connector.is_none() {
        Some(Obstacle::NoConnector)
    } else {
        None
    };
    let page = CredentialPage {
        layout: Layout::new(&state, &signed, Section::Credentials, format!("{} · Credentials", tile.name)),
        tile: TileView::new(tile, badge(catalogue, &tile.connector), now),
        connector: connector.map_or(tile.connector.as_str(), |connector| &connector.name),
        obstacle,
        created: Age::of(detail.created_at, now),
        verified: detail.verification.as_ref().map(|past| Age::of(past.at, now)),
        stages: verification.map(stages).unwrap_or_default(),
        failure: verification.and_then(|it| it.failure.as_ref()).map(DiagnosisView::new),
        notice: verification.and_then(|it| it.notice.as_ref()).map(DiagnosisView::new),
        used_by: detail.used_by.iter().map(|resource| ResourceView::new(resource, catalogue, now)).collect(),
        manages: tile.access == Access::Manage,
        tested: happened.tested.is_some(),
        edited: happened.edited.as_deref().and_then(edited),
        detail: &detail,
    };
    layout::ok(&page)
}

/// `POST /credentials/{id}/test`: verifies again; the page then shows what was found.
pub(crate) async fn test(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    if state.service.test_credential(&signed.caller, id).await?.is_none() {
        // There is nothing to verify it with, which its page says; or it is gone, and so is its page.
        return Ok(Redirect::to(&format!("/credentials/{id}")).into_response());
    }
    Ok(Redirect::to(&format!("/credentials/{id}?tested=1")).into_response())
}
