//! Which headers go on, and which end here.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers of one connection (RFC 9110 section 7.6.1) and of Keytile's own, what says who the client is, what Keytile
/// decides itself, and what asks some servers for another method or path than those that were checked: none of them is
/// passed on to an API.
fn ends_here(name: &HeaderName) -> bool {
    match name.as_str() {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "transfer-encoding"
        | "te"
        | "upgrade"
        | "proxy-authorization"
        | "proxy-authenticate"
        | "host"
        | "authorization"
        | "cookie"
        | "cookie2"
        | "expect"
        | "forwarded"
        | "via"
        | "x-real-ip"
        | "http2-settings"
        | "x-http-method-override"
        | "x-http-method"
        | "x-method-override"
        | "x-original-url"
        | "x-rewrite-url" => true,
        name => name.starts_with("x-forwarded-") || name.starts_with("x-keytile-") || name.starts_with("sec-fetch-"),
    }
}

/// Of an answer: headers of one connection, and what a browser would take as said by Keytile's own host.
fn ends_here_of_answer(name: &HeaderName) -> bool {
    match name.as_str() {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "transfer-encoding"
        | "te"
        | "upgrade"
        | "proxy-authenticate"
        | "set-cookie"
        | "set-cookie2"
        | "alt-svc"
        | "strict-transport-security"
        | "clear-site-data"
        | "public-key-pins"
        | "service-worker-allowed" => true,
        name => name.starts_with("x-keytile-"),
    }
}

/// The headers of a request without what ends here, and with what every request to the API carries.
pub(super) fn settled(came: &HeaderMap, host: &HeaderValue, authorized: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(came.len() + authorized.len() + 1);
    for (name, value) in came.iter().filter(|(name, _)| !ends_here(name)) {
        headers.append(name, value.clone());
    }
    drop_named_by_connection(came.get_all(header::CONNECTION).iter(), &mut headers);
    headers.insert(header::HOST, host.clone());
    if came.get_all(header::TE).iter().any(|value| names(value, "trailers")) {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    for (name, value) in authorized {
        headers.insert(name, value.clone());
    }
    headers
}

/// Takes out of an answer what ends here.
pub(super) fn settle_answer(headers: &mut HeaderMap) {
    // The usual words name nothing that would not end here anyway.
    let is_usual =
        |list: &HeaderValue| ["keep-alive", "close"].iter().any(|word| list.as_bytes().eq_ignore_ascii_case(word.as_bytes()));
    let lists: Vec<HeaderValue> = headers.get_all(header::CONNECTION).iter().filter(|list| !is_usual(list)).cloned().collect();
    drop_named_by_connection(lists.iter(), headers);
    drop_where(headers, ends_here_of_answer);
}

fn drop_where(headers: &mut HeaderMap, ends: fn(&HeaderName) -> bool) {
    // Few headers end here, so that they are collected rather than the others moved.
    let ended: Vec<HeaderName> = headers.keys().filter(|name| ends(name)).cloned().collect();
    for name in ended {
        headers.remove(name);
    }
}

/// Whether a list of words, as `Connection` and `TE` have, names this one.
fn names(list: &HeaderValue, word: &str) -> bool {
    list.as_bytes().split(|byte| *byte == b',').any(|item| {
        let item = item.split(|byte| *byte == b';').next().unwrap_or_default();
        item.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
    })
}

/// What `Connection` names is of this connection too, but for what frames the body.
fn drop_named_by_connection<'a>(lists: impl Iterator<Item = &'a HeaderValue>, headers: &mut HeaderMap) {
    for item in lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b',')) {
        if let Ok(name) = HeaderName::from_bytes(item.trim_ascii())
            && !matches!(name, header::CONTENT_LENGTH | header::CONTENT_TYPE | header::CONTENT_ENCODING)
        {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn listed(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_is_of_the_client_or_of_keytile_ends_here() {
        let came = map(&[
            ("host", "keytile.example"),
            ("authorization", "Bearer kt_key"),
            ("cookie", "keytile_session=1"),
            ("connection", "close, X-Private, Host, Authorization"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers;q=1"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("proxy-authorization", "Basic eA=="),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-anything", "1"),
            ("x-keytile-anything", "1"),
            ("x-http-method-override", "DELETE"),
            ("x-method-override", "DELETE"),
            ("x-http-method", "DELETE"),
            ("x-original-url", "/admin"),
            ("x-rewrite-url", "/admin"),
            ("x-api-version", "of the client"),
            ("accept", "application/json"),
            ("accept-encoding", "br, gzip"),
            ("range", "bytes=0-1"),
            ("if-none-match", "\"x\""),
            ("content-type", "text/csv"),
            ("user-agent", "pipeline/1"),
        ]);
        let authorized = map(&[("authorization", "Basic token"), ("x-api-version", "7")]);
        assert_eq!(
            listed(&settled(&came, &HeaderValue::from_static("api.example"), &authorized)),
            [
                "accept-encoding: br, gzip",
                "accept: application/json",
                "authorization: Basic token",
                "content-type: text/csv",
                "host: api.example",
                "if-none-match: \"x\"",
                "range: bytes=0-1",
                "te: trailers",
                "user-agent: pipeline/1",
                "x-api-version: 7",
            ]
        );
    }

    #[test]
    fn connection_cannot_name_what_frames_the_body() {
        let came = map(&[("connection", "content-length, content-type"), ("content-length", "3"), ("content-type", "a/b")]);
        let headers = settled(&came, &HeaderValue::from_static("h"), &HeaderMap::new());
        assert_eq!(listed(&headers), ["content-length: 3", "content-type: a/b", "host: h"]);
    }

    #[test]
    fn an_answer_says_nothing_in_the_name_of_keytile() {
        let mut headers = map(&[
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("strict-transport-security", "max-age=1"),
            ("clear-site-data", "\"*\""),
            ("x-keytile-upstream", "0"),
            ("content-encoding", "br"),
            ("content-range", "bytes 0-1/9"),
            ("etag", "\"x\""),
            ("retry-after", "3"),
            ("x-request-id", "of the service"),
        ]);
        settle_answer(&mut headers);
        assert_eq!(
            listed(&headers),
            ["content-encoding: br", "content-range: bytes 0-1/9", "etag: \"x\"", "retry-after: 3", "x-request-id: of the service",]
        );
    }
}
