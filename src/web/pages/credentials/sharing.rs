//! Sharing: who may use or manage a credential in addition to its owner. Each form of the page makes one change.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::access::permission::{Access, Sharing},
    service::access::sharing::{Share, SharingDetail, SharingOutcome},
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, Id},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::credentials::tile::{TileView, badge},
    },
};

/// The query: what has just happened.
#[derive(Debug, Deserialize)]
pub(crate) struct Happened {
    changed: Option<String>,
}

pub(crate) enum Change {
    /// Whether everyone may use the credential.
    Open(Sharing),
    /// Add a user or group.
    Add { with: String, access: Access },
    /// Change the access of a user or group.
    Access { share: Uuid, access: Access },
    /// Remove a user or group.
    Remove { share: Uuid },
}

impl FromFields for Change {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let access = |word: &str| Access::parse(word).ok_or(PageError::BadRequest);
        match fields.take("action").as_str() {
            "open" => Sharing::parse(&fields.take("sharing")).map(Self::Open).ok_or(PageError::BadRequest),
            "add" => Ok(Self::Add { with: fields.take("with"), access: access(&fields.take("access"))? }),
            "access" => Ok(Self::Access { share: fields.take_id("share")?, access: access(&fields.take("access"))? }),
            "remove" => Ok(Self::Remove { share: fields.take_id("share")? }),
            _ => Err(PageError::BadRequest),
        }
    }
}

#[derive(Template)]
#[template(path = "sharing.html")]
struct SharingPage<'a> {
    layout: Layout,
    tile: TileView<'a>,
    /// The owner; `None` if it is the user.
    owner: Option<String>,
    shares: &'a [Share],
    people: &'a [(String, String)],
    groups: &'a [String],
    changed: bool,
    /// The input of the form that adds a user or group.
    with: &'a str,
    access: Access,
    error: Option<&'a str>,
}

impl SharingPage<'_> {
    /// Whether the access is to manage, for the options of the form.
    fn manages(access: &Access) -> bool {
        *access == Access::Manage
    }
}

/// Input that was refused, and why.
struct Refusal<'a> {
    with: &'a str,
    access: Access,
    error: String,
}

/// `GET /credentials/{id}/sharing`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Query(happened): Query<Happened>,
) -> Result<Response, PageError> {
    respond(&state, &signed, id, happened.changed.is_some(), None).await
}

/// `POST /credentials/{id}/sharing`.
pub(crate) async fn change(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Form(change): Form<Change>,
) -> Result<Response, PageError> {
    let (service, caller) = (&state.service, &signed.caller);
    let outcome = match &change {
        Change::Open(sharing) => service.open_credential(caller, id, *sharing).await?,
        Change::Add { with, access } => service.share_credential(caller, id, with, *access).await?,
        Change::Access { share, access } => service.change_share(caller, id, *share, Some(*access)).await?,
        Change::Remove { share } => service.change_share(caller, id, *share, None).await?,
    };
    match (outcome, &change) {
        (SharingOutcome::Changed(Some(Access::Manage)), _) => {
            Ok(Redirect::to(&format!("/credentials/{id}/sharing?changed=1")).into_response())
        }
        // A user who gives up their own access continues with what they still have.
        (SharingOutcome::Changed(Some(Access::Use)), _) => Ok(Redirect::to(&format!("/credentials/{id}")).into_response()),
        (SharingOutcome::Changed(None), _) => Ok(Redirect::to("/credentials").into_response()),
        (SharingOutcome::Invalid(error), Change::Add { with, access }) => {
            respond(&state, &signed, id, false, Some(Refusal { with, access: *access, error })).await
        }
        // The share was removed in the meantime: the page shows the remaining ones.
        (SharingOutcome::NotFound, Change::Access { .. } | Change::Remove { .. }) => {
            respond(&state, &signed, id, false, None).await
        }
        (SharingOutcome::Invalid(_) | SharingOutcome::NotFound, _) => Err(PageError::NotFound),
    }
}

async fn respond(
    state: &WebState,
    signed: &SignedIn,
    id: Uuid,
    changed: bool,
    refusal: Option<Refusal<'_>>,
) -> Result<Response, PageError> {
    let detail: SharingDetail = state.service.sharing(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    let title = format!("Share {} · Credentials", detail.tile.name);
    let page = SharingPage {
        layout: Layout::new(state, signed, Section::Credentials, title).with_error(refusal.is_some()),
        tile: TileView::new(&detail.tile, badge(state.service.catalogue(), &detail.tile.connector), state.service.now()),
        owner: detail.tile.owner.as_ref().map(|owner| format!("{} ({})", owner.name, owner.email)),
        shares: &detail.shares,
        people: &detail.people,
        groups: &detail.groups,
        changed,
        with: refusal.as_ref().map(|refusal| refusal.with).unwrap_or_default(),
        access: refusal.as_ref().map_or(Access::Use, |refusal| refusal.access),
        error: refusal.as_ref().map(|refusal| refusal.error.as_str()),
    };
    layout::page(if refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Change, PageError> {
        Change::from_fields(Fields::read(body.as_bytes()))
    }

    #[test]
    fn a_form_is_one_known_change() {
        let share = "01890000-0000-7000-8000-000000000001";
        assert!(matches!(read("action=open&sharing=everyone"), Ok(Change::Open(Sharing::Everyone))));
        assert!(matches!(read("action=add&with=ben&access=use"), Ok(Change::Add { access: Access::Use, .. })));
        assert!(matches!(read(&format!("action=remove&share={share}")), Ok(Change::Remove { .. })));
        let changed = read(&format!("action=access&share={share}&access=manage"));
        assert!(matches!(changed, Ok(Change::Access { access: Access::Manage, .. })));
        for wrong in ["", "action=open&sharing=nobody", "action=add&with=ben&access=owner", "action=access&share=x&access=use"] {
            assert!(matches!(read(wrong), Err(PageError::BadRequest)), "{wrong}");
        }
    }
}
