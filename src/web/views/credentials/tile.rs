//! A credential as a tile, and a resource in a list. Both borrow from what the service answered: a page
//! of fifty of them is rendered without copying a text.

use uuid::Uuid;

use crate::{
    domain::{access::permission::Sharing, connectors::ConnectorId, credentials::CredentialStatus, time::Timestamp},
    service::{connectors::catalogue::Catalogue, credentials::Tile, resources::ResourceSummary},
    web::views::{relative_time::Age, resources::flow::Badge},
};

/// Whether a credential works, as it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusView {
    /// The word that is read.
    pub(crate) word: &'static str,
    /// What the style sheet calls it.
    pub(crate) class: &'static str,
}

impl StatusView {
    /// The view of a status.
    pub(crate) const fn of(status: CredentialStatus) -> Self {
        match status {
            CredentialStatus::Verified => Self { word: "Verified", class: "verified" },
            CredentialStatus::Rejected => Self { word: "Rejected", class: "rejected" },
            CredentialStatus::Unreachable => Self { word: "Unreachable", class: "unreachable" },
        }
    }
}

/// One tile.
pub(crate) struct TileView<'a> {
    /// The credential.
    pub(crate) id: Uuid,
    /// Its name.
    pub(crate) name: &'a str,
    /// Which account it is for, for who manages it.
    pub(crate) account: Option<&'a str>,
    /// True when its sealed values do not open.
    pub(crate) damaged: bool,
    /// Whose it is, unless it is one's own.
    pub(crate) owner: Option<&'a str>,
    /// True when everybody may use it.
    pub(crate) open_to_all: bool,
    /// Its description, or an empty text.
    pub(crate) description: &'a str,
    /// Its connector's badge.
    pub(crate) badge: Badge<'a>,
    /// Its status.
    pub(crate) status: StatusView,
    /// When it was last verified.
    pub(crate) age: Age,
    /// How many resources use it.
    pub(crate) used_by: u64,
    /// True when it is chosen.
    pub(crate) selected: bool,
    /// True when it is shown only because it is chosen: it is no hit of a search, and not of this page.
    pub(crate) beside: bool,
}

impl<'a> TileView<'a> {
    /// The view of a tile.
    pub(crate) fn new(tile: &'a Tile, badge: Badge<'a>, now: Timestamp) -> Self {
        Self {
            id: tile.id,
            name: &tile.name,
            account: tile.account.as_deref(),
            damaged: !tile.opens,
            owner: tile.owner.as_ref().map(|owner| owner.name.as_str()),
            open_to_all: tile.sharing == Sharing::Everyone,
            description: &tile.description,
            badge,
            status: StatusView::of(tile.status),
            age: Age::of(tile.verified_at, now),
            used_by: tile.used_by,
            selected: false,
            beside: false,
        }
    }

    /// The same, chosen if it is this credential.
    pub(crate) fn chosen(mut self, id: Option<Uuid>) -> Self {
        self.selected = id == Some(self.id);
        self
    }
}

/// A resource in a list.
pub(crate) struct ResourceView<'a> {
    /// Its address.
    pub(crate) kind: &'static str,
    /// Its id.
    pub(crate) id: Uuid,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its description, or an empty text.
    pub(crate) description: &'a str,
    /// Its connector's badge.
    pub(crate) badge: Badge<'a>,
    /// Its credential's name.
    pub(crate) credential: &'a str,
    /// Its credential's status.
    pub(crate) status: StatusView,
    /// When it was created.
    pub(crate) age: Age,
}

impl<'a> ResourceView<'a> {
    /// The view of a resource.
    pub(crate) fn new(resource: &'a ResourceSummary, catalogue: &'a Catalogue, now: Timestamp) -> Self {
        Self {
            kind: resource.kind.plural(),
            id: resource.id,
            name: &resource.name,
            description: &resource.description,
            badge: badge(catalogue, &resource.connector),
            credential: &resource.credential_name,
            status: StatusView::of(resource.credential_status),
            age: Age::of(resource.created_at, now),
        }
    }
}

/// The badge of a stored thing's connector, which may have been taken out of the catalogue since.
pub(crate) fn badge<'a>(catalogue: &'a Catalogue, connector: &ConnectorId) -> Badge<'a> {
    catalogue.get(connector.as_str()).map_or(Badge::unknown(), |connector| Badge::of(connector))
}
