//! One credential: its fields (except secrets) and its last verification, for users who manage it; its owner and
//! the resources that use it, for everyone who may use it.

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

/// The query: what has just happened.
#[derive(Debug, Deserialize)]
pub(crate) struct Happened {
    tested: Option<String>,
    edited: Option<String>,
}

/// The message for the result of an edit, from the word in the query.
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
    /// Its connector no longer exists.
    NoConnector,
    /// Its sealed values can't be opened.
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
    /// The message for the result of an edit.
    edited: Option<(&'static str, &'static str)>,
    /// True if the user may see its fields, test, share and delete it.
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

/// `POST /credentials/{id}/test`: verifies again; the page then shows the result.
pub(crate) async fn test(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    if state.service.test_credential(&signed.caller, id).await?.is_none() {
        // Either the credential can't be verified, which its page says, or it no longer exists.
        return Ok(Redirect::to(&format!("/credentials/{id}")).into_response());
    }
    Ok(Redirect::to(&format!("/credentials/{id}?tested=1")).into_response())
}
