//! The client address: that of the TCP peer, unless the peer is a trusted reverse proxy.
//!
//! Anyone can send any header. `X-Forwarded-For` is only read from a trusted proxy; `Forwarded` (RFC 7239),
//! `X-Real-IP`, `X-Forwarded-Host` and `X-Forwarded-Proto` are never read.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
};
use ipnet::IpNet;

use super::error::PageError;
use crate::web::state::WebState;

/// Each proxy appends the address of its client.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromRequestParts<WebState> for ClientAddress {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, PageError> {
        // Only a request that didn't arrive over a connection has none.
        parts.extensions.get::<Self>().copied().ok_or(PageError::BadRequest)
    }
}

/// The reverse proxies that are trusted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    pub fn new(ranges: &[IpNet]) -> Self {
        Self(ranges.into())
    }

    /// The client address of a request from the TCP peer `peer`.
    ///
    /// The chain of addresses is read from its end, where the nearest proxy wrote. Anything that the client
    /// invented comes before the entry of the first trusted proxy and isn't reached. An unreadable address ends the
    /// walk at the last one that could be read.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        // Some proxies add another header instead of extending the first: all of them form one list.
        let lists = headers.get_all(&FORWARDED_FOR).iter().rev();
        let mut chain = lists.flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
        while self.trusts(client) {
            let Some(address) = chain.next().and_then(address) else { break };
            client = address;
        }
        ClientAddress(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }
}

/// An address as proxies write it: plain, or with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse::<IpAddr>().ok().or_else(bracketed).or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let ranges: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32"].iter().map(|range| range.parse().unwrap()).collect();
        let trusted = TrustedProxies::new(&ranges);
        let cases: &[(&str, &[&str], &str)] = &[
            ("203.0.113.9", &[], "203.0.113.9"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // The client's invention comes before the entry of the proxy.
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1,10.9.9.9,198.51.100.1 , 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            // No address outside the trusted ranges: the farthest known one.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Garbage ends the walk.
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, ,10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, 300.1.1.1"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1\u{e9}"], "10.0.0.1"),
            // IPv4-mapped addresses are treated as IPv4.
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("::ffff:203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("192.0.2.7", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("192.0.2.7", &["[2001:db8::1]"], "2001:db8::1"),
            ("192.0.2.7", &["198.51.100.1:4711"], "198.51.100.1"),
            ("192.0.2.8", &["198.51.100.1"], "192.0.2.8"),
        ];
        for (peer, lists, client) in cases {
            let mut headers = HeaderMap::new();
            headers.append("forwarded", HeaderValue::from_static("for=9.9.9.9"));
            headers.append("x-real-ip", HeaderValue::from_static("9.9.9.9"));
            for list in *lists {
                headers.append(&FORWARDED_FOR, HeaderValue::from_bytes(list.as_bytes()).unwrap());
            }
            assert_eq!(trusted.client(peer.parse().unwrap(), &headers).to_string(), *client, "{peer} {lists:?}");
        }
    }

    #[test]
    fn without_a_setting_nobody_is_believed() {
        let mut headers = HeaderMap::new();
        headers.append(&FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        assert_eq!(TrustedProxies::default().client("127.0.0.1".parse().unwrap(), &headers).to_string(), "127.0.0.1");
    }

    proptest! {
        #[test]
        fn whatever_stands_there_nobody_else_is_believed(
            peer: IpAddr,
            lists in prop::collection::vec(prop_oneof!["[ -~]{0,60}", "[0-9a-f:., \\[\\]]{0,60}"], 0..4),
            outside: std::net::Ipv4Addr,
        ) {
            let trusted = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]);
            let mut headers = HeaderMap::new();
            for list in &lists {
                headers.append(&FORWARDED_FOR, HeaderValue::from_str(list).unwrap());
            }
            let client = trusted.client(peer, &headers).0;
            prop_assert!(trusted.trusts(peer.to_canonical()) || client == peer.to_canonical());
            // The proxy's own entry counts, whatever the client put before it.
            headers.append(&FORWARDED_FOR, HeaderValue::from_str(&outside.to_string()).unwrap());
            let client = trusted.client(IpAddr::from([10, 0, 0, 1]), &headers).0;
            prop_assert!(trusted.trusts(IpAddr::V4(outside)) || client == IpAddr::V4(outside));
        }
    }
}
