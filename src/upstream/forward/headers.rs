//! Which headers go on and which end here, and the head of a request as it is sent.

use hyper::{
    Method,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    http::uri::PathAndQuery,
};

use super::ApiHeaders;

/// Headers of one connection (RFC 9110 section 7.6.1) and of Keytile's own, what says who the client is, what Keytile
/// decides and writes itself, and what asks some servers for another method or path than those that were checked: none of them is
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
        | "content-length"
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
pub(super) fn ends_here_of_answer(name: &HeaderName) -> bool {
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

/// How the length of a request's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Not at all: there is none.
    Nothing,
    /// In bytes.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// The head of a request that is to be sent.
pub(super) struct RequestHead<'a> {
    pub(super) method: &'a Method,
    /// Path and query.
    pub(super) address: &'a PathAndQuery,
    /// The headers as they came.
    pub(super) came: &'a HeaderMap,
    pub(super) host: &'a HeaderValue,
    pub(super) authorized: &'a ApiHeaders,
    pub(super) told: Told,
}

impl RequestHead<'_> {
    /// Writes it, without what ends here, and with what every request to the API carries.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        let Self { method, address, came, host, authorized, told } = self;
        for part in [method.as_str(), " ", address.as_str(), " HTTP/1.1"] {
            into.extend_from_slice(part.as_bytes());
        }
        into.extend_from_slice(b"\r\nhost: ");
        into.extend_from_slice(host.as_bytes());
        into.extend_from_slice(b"\r\n");
        let named = named_by_connection(came.get_all(header::CONNECTION).iter());
        for (name, value) in *came {
            if !ends_here(name) && !authorized.names.contains(name) && !named.contains(name) {
                write_field(into, name, value.as_bytes());
            }
        }
        if came.get_all(header::TE).iter().any(|value| names(value, "trailers")) {
            into.extend_from_slice(b"te: trailers\r\n");
        }
        into.extend_from_slice(&authorized.written);
        match told {
            Told::Nothing => {}
            Told::Length(length) => write_field(into, &header::CONTENT_LENGTH, length.to_string().as_bytes()),
            Told::Chunked => into.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        into.extend_from_slice(b"\r\n");
    }
}

/// Writes one header.
pub(super) fn write_field(into: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        into.extend_from_slice(part);
    }
}

/// Writes those trailers of a request that may be passed on.
pub(super) fn write_trailers(into: &mut Vec<u8>, trailers: &HeaderMap) {
    for (name, value) in trailers.iter().filter(|(name, _)| !ends_here(name)) {
        write_field(into, name, value.as_bytes());
    }
}

/// Whether a list of words, as `Connection` and `TE` have, names this one.
pub(super) fn names(list: &HeaderValue, word: &str) -> bool {
    list.as_bytes().split(|byte| *byte == b',').any(|item| {
        let item = item.split(|byte| *byte == b';').next().unwrap_or_default();
        item.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
    })
}

/// What `Connection` names is of this connection too, but for what tells of the body.
fn named_by_connection<'a>(lists: impl Iterator<Item = &'a HeaderValue>) -> Vec<HeaderName> {
    // The usual words name nothing that would not end here anyway.
    let is_usual =
        |list: &&HeaderValue| ["keep-alive", "close"].iter().any(|word| list.as_bytes().eq_ignore_ascii_case(word.as_bytes()));
    let items = lists.filter(|list| !is_usual(list)).flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    let named = items.filter_map(|item| HeaderName::from_bytes(item.trim_ascii()).ok());
    named.filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::CONTENT_TYPE | header::CONTENT_ENCODING)).collect()
}

/// Takes out of an answer what its `Connection` names.
pub(super) fn drop_named_by_connection<'a>(lists: impl Iterator<Item = &'a HeaderValue>, headers: &mut HeaderMap) {
    for name in named_by_connection(lists) {
        headers.remove(name);
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

    /// The first line of a request, and its headers in their order.
    fn written(came: &HeaderMap, authorized: &HeaderMap, told: Told) -> Vec<String> {
        let head = RequestHead {
            method: &Method::GET,
            address: &PathAndQuery::from_static("/users?page=2"),
            came,
            host: &HeaderValue::from_static("api.example"),
            authorized: &ApiHeaders::new(authorized),
            told,
        };
        let mut into = Vec::new();
        head.write(&mut into);
        let text = String::from_utf8(into).unwrap();
        let mut lines: Vec<String> = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned).collect();
        lines[1..].sort();
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
            written(&came, &authorized, Told::Length(3)),
            [
                "GET /users?page=2 HTTP/1.1",
                "accept-encoding: br, gzip",
                "accept: application/json",
                "authorization: Basic token",
                "content-length: 3",
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
    fn connection_cannot_name_what_tells_of_the_body() {
        let came = map(&[("connection", "content-length, content-type"), ("content-length", "9"), ("content-type", "a/b")]);
        let headers = written(&came, &HeaderMap::new(), Told::Chunked);
        assert_eq!(headers[1..], ["content-type: a/b", "host: api.example", "transfer-encoding: chunked"]);
        assert_eq!(written(&came, &HeaderMap::new(), Told::Nothing)[1..], ["content-type: a/b", "host: api.example"]);
    }

    #[test]
    fn trailers_frame_nothing_and_are_nobodys_authorization() {
        let trailers = map(&[("x-checksum", "7"), ("content-length", "3"), ("authorization", "Basic x"), ("host", "a")]);
        let mut into = Vec::new();
        write_trailers(&mut into, &trailers);
        assert_eq!(into, b"x-checksum: 7\r\n");
    }
}
