//! The steps of creating a resource: words, URLs, and the badge of the connector.

use crate::{
    domain::{connectors::Connector, resources::ResourceKind},
    web::http::extract::Flow,
};

/// One or two letters on a colour, which stand for a connector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Badge<'a> {
    pub(crate) text: &'a str,
    /// The number of the colour, in `0..6`; always the same for a connector.
    pub(crate) colour: u32,
}

impl<'a> Badge<'a> {
    pub(crate) fn of(connector: &'a Connector) -> Self {
        Self { text: &connector.badge, colour: colour_of(connector.id.as_str()) }
    }

    /// The badge of a connector that no longer exists.
    pub(crate) const fn unknown() -> Self {
        Badge { text: "?", colour: 0 }
    }
}

/// FNV-1a of the id: stable across versions, unlike the hashers of the standard library.
fn colour_of(id: &str) -> u32 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 16) % 6
}

pub(crate) const fn noun(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Source => "data source",
        ResourceKind::Destination => "data destination",
    }
}

/// The end of a title: `New source` or `New destination`.
pub(crate) const fn new_title(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Source => "New source",
        ResourceKind::Destination => "New destination",
    }
}

/// The steps of creating a resource with a chosen connector.
pub(crate) struct FlowView<'a> {
    /// `data source` or `data destination`.
    pub(crate) noun: &'static str,
    /// `sources` or `destinations`.
    pub(crate) plural: &'static str,
    pub(crate) connector: &'a str,
    /// The common prefix of the URLs of its steps.
    pub(crate) base: String,
    pub(crate) badge: Badge<'a>,
}

impl<'a> FlowView<'a> {
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

/// The common prefix of the URLs of a flow's steps.
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
