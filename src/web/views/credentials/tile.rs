//! A credential as a tile, and a resource in a list. Both borrow from the service's result, so that a page of fifty
//! is rendered without copying strings.

use uuid::Uuid;

use crate::{
    domain::{access::permission::Sharing, connectors::ConnectorId, credentials::CredentialStatus, time::Timestamp},
    service::{connectors::catalogue::Catalogue, credentials::Tile, resources::ResourceSummary},
    web::views::{relative_time::Age, resources::flow::Badge},
};

/// The status of a credential, as it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusView {
    pub(crate) word: &'static str,
    /// The CSS class.
    pub(crate) class: &'static str,
}

impl StatusView {
    pub(crate) const fn of(status: CredentialStatus) -> Self {
        match status {
            CredentialStatus::Verified => Self { word: "Verified", class: "verified" },
            CredentialStatus::Rejected => Self { word: "Rejected", class: "rejected" },
            CredentialStatus::Unreachable => Self { word: "Unreachable", class: "unreachable" },
        }
    }
}

pub(crate) struct TileView<'a> {
    pub(crate) id: Uuid,
    pub(crate) name: &'a str,
    /// The account at the service, if the user manages the credential.
    pub(crate) account: Option<&'a str>,
    /// True if its sealed values can't be opened.
    pub(crate) damaged: bool,
    /// `None` if the owner is the user.
    pub(crate) owner: Option<&'a str>,
    /// True if everyone may use it.
    pub(crate) open_to_all: bool,
    /// May be empty.
    pub(crate) description: &'a str,
    pub(crate) badge: Badge<'a>,
    pub(crate) status: StatusView,
    /// When it was last verified.
    pub(crate) age: Age,
    /// The number of resources that use it.
    pub(crate) used_by: u64,
    pub(crate) selected: bool,
    /// True if it is shown only because it is selected, and isn't part of this page or search.
    pub(crate) beside: bool,
}

impl<'a> TileView<'a> {
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

    /// Marks the tile as selected if it is this credential.
    pub(crate) fn chosen(mut self, id: Option<Uuid>) -> Self {
        self.selected = id == Some(self.id);
        self
    }
}

/// A resource in a list.
pub(crate) struct ResourceView<'a> {
    /// The path segment of its kind.
    pub(crate) kind: &'static str,
    pub(crate) id: Uuid,
    pub(crate) name: &'a str,
    /// May be empty.
    pub(crate) description: &'a str,
    pub(crate) badge: Badge<'a>,
    pub(crate) credential: &'a str,
    pub(crate) status: StatusView,
    /// When it was created.
    pub(crate) age: Age,
}

impl<'a> ResourceView<'a> {
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

/// The badge of a stored object's connector, which may have been removed from the catalogue.
pub(crate) fn badge<'a>(catalogue: &'a Catalogue, connector: &ConnectorId) -> Badge<'a> {
    catalogue.get(connector.as_str()).map_or(Badge::unknown(), |connector| Badge::of(connector))
}
