//! The fuzz targets of this layer; see `crate::fuzz`.

use std::{net::IpAddr, time::Duration};

use axum::http::{HeaderMap, HeaderValue, header};
use ipnet::IpNet;

use super::http::{client_address::TrustedProxies, cookie::Cookie, extract::Fields};
pub(crate) use super::server::request_head;

/// The bodies of forms.
pub(crate) fn form_body(input: &[u8]) {
    let all: Vec<(String, String)> = Fields::read(input).rest().collect();
    let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&all).finish();
    assert!(Fields::read(written.as_bytes()).rest().eq(all.iter().cloned()), "what was read is read differently when written");
    let mut fields = Fields::read(input);
    for (name, value) in &all {
        let taken = fields.take(name);
        assert_eq!(&taken, value, "the values of a field are taken in their order");
    }
    assert_eq!(fields.rest().count(), 0, "each field is taken once");
    if let Some((name, _)) = all.first() {
        let mut fields = Fields::read(input);
        let values: Vec<&str> = all.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(fields.take_all(name), values);
        assert_eq!(fields.rest().count(), all.len() - values.len());
    }
}

/// Cookies: each line is a header.
pub(crate) fn cookie(input: &[u8]) {
    let cookie = Cookie { host: "__Host-keytile_session", kept: Duration::from_secs(60) };
    let mut headers = HeaderMap::new();
    for value in input.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(header::COOKIE, value);
    }
    for (secure, name) in [(true, "__Host-keytile_session"), (false, "keytile_session")] {
        let Some(found) = cookie.read(&headers, secure) else { continue };
        assert!(!found.contains(';') && found.trim_end() == found, "{found}");
        let pair = format!("{name}={found}");
        let is_there = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(';').any(|written| written.trim() == pair));
        assert!(is_there, "no header has {pair}");
        // What was read can be set, and is then read again.
        let set = cookie.set(secure, found).unwrap_or_else(|_| panic!("{found} cannot be set"));
        let set = set.to_str().unwrap_or_default();
        assert!(set.starts_with(&pair) && set.ends_with("; Secure") == secure, "{set}");
        let again = HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(pair).expect("it was in a header"))]);
        assert_eq!(cookie.read(&again, secure), Some(found));
        assert_eq!(cookie.read(&again, !secure), None, "a cookie with the prefix and one without are not the same");
    }
}

/// `X-Forwarded-For`: the first line is the address that is connected, each other line a header.
pub(crate) fn client_address(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let peer = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.trim().parse::<IpAddr>().ok());
    let peer = peer.unwrap_or(IpAddr::from([10, 0, 0, 1]));
    let ranges: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].iter().filter_map(|range| range.parse().ok()).collect();
    let is_trusted = |address: IpAddr| ranges.iter().any(|range| range.contains(&address));
    let mut headers = HeaderMap::new();
    for value in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("x-forwarded-for", value);
    }
    let trusted = TrustedProxies::new(&ranges);
    let client = trusted.client(peer, &headers).0;
    assert_eq!(client, client.to_canonical());
    assert_eq!(TrustedProxies::default().client(peer, &headers).0, peer.to_canonical(), "without a setting nobody is believed");
    if !is_trusted(peer.to_canonical()) {
        assert_eq!(client, peer.to_canonical(), "somebody is believed who is not trusted");
    }
    // What a client puts before what a proxy wrote changes nothing once the walk has ended.
    if !is_trusted(client) {
        let mut more = HeaderMap::new();
        more.append("x-forwarded-for", HeaderValue::from_static("198.51.100.77, 10.0.0.9"));
        for value in headers.get_all("x-forwarded-for") {
            more.append("x-forwarded-for", value.clone());
        }
        assert_eq!(trusted.client(peer, &more).0, client, "the client chose its address");
    }
    // And what the nearest proxy wrote counts, whatever stands before it.
    headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
    assert_eq!(trusted.client(IpAddr::from([10, 0, 0, 1]), &headers).0, IpAddr::from([203, 0, 113, 9]));
}
