//! The making of a resource as its pages see it: words, addresses, and the badge of the connector.

use crate::{
    domain::{connectors::Connector, resources::ResourceKind},
    web::http::extract::Flow,
};

/// One or two letters on a colour, which stand for a connector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Badge<'a> {
    /// The letters.
    pub(crate) text: &'a str,
    /// Which of the colours `0..6`; the same for the same connector always.
    pub(crate) colour: u32,
}

impl<'a> Badge<'a> {
    /// The badge of a connector.
    pub(crate) fn of(connector: &'a Connector) -> Self {
        Self { text: &connector.badge, colour: colour_of(connector.id.as_str()) }
    }

    /// The badge of a connector that this Keytile no longer has.
    pub(crate) const fn unknown() -> Self {
        Badge { text: "?", colour: 0 }
    }
}

/// FNV-1a over the id: stable across versions, which a hasher of the standard library need not be.
fn colour_of(id: &str) -> u32 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 16) % 6
}

/// What a kind of resource is called on pages.
pub(crate) const fn noun(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Source => "data source",
        ResourceKind::Destination => "data destination",
    }
}

/// The last words of a title: `New source` or `New destination`.
pub(crate) const fn new_title(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Source => "New source",
        ResourceKind::Destination => "New destination",
    }
}

/// The making of a resource with a chosen connector.
pub(crate) struct FlowView<'a> {
    /// `data source` or `data destination`.
    pub(crate) noun: &'static str,
    /// `sources` or `destinations`.
    pub(crate) plural: &'static str,
    /// The connector's name.
    pub(crate) connector: &'a str,
    /// What all addresses of its steps begin with.
    pub(crate) base: String,
    /// Its badge.
    pub(crate) badge: Badge<'a>,
}

impl<'a> FlowView<'a> {
    /// The view of a flow.
    pub(crate) fn new(flow: &'a Flow) -> Self {
        Self {
            noun: noun(flow.kind),
            plural: flow.kind.plural(),
            connector: &flow.connector.name,
            base: base(flow),
            badge: Badge::of(&flow.connector),
        }
    }
}

/// What all addresses of a flow's steps begin with.
pub(crate) fn base(flow: &Flow) -> String {
    format!("/{}/new/{}", flow.kind.plural(), flow.connector.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_stays_what_it_is() {
        assert_eq!(colour_of("oauth2-client-credentials"), colour_of("oauth2-client-credentials"));
        assert!((0..500).map(|n| colour_of(&format!("c{n}"))).collect::<std::collections::BTreeSet<_>>().len() == 6);
    }
}
