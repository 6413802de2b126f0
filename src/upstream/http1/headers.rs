//! Which headers are forwarded and which are dropped, and the head of a request as it is sent.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use zeroize::Zeroizing;

use super::request::{ApiHeaders, Forward, Target};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl ApiHeaders {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let mut written = Zeroizing::new(Vec::new());
        for (name, value) in headers {
            write_field(&mut written, name, value.as_bytes());
        }
        Self { written, names: headers.keys().cloned().collect() }
    }
}

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
        | "x-request-id"
        | "x-original-url"
        | "x-rewrite-url" => true,
        name => name.starts_with("x-forwarded-") || name.starts_with("x-keytile-") || name.starts_with("sec-fetch-"),
    }
}

/// True for response headers that are not forwarded to the client: hop-by-hop headers, and headers that a browser
/// would apply to Keytile's own host.
pub(in crate::upstream) fn ends_here_of_answer(name: &HeaderName) -> bool {
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

/// How the length of a request's body is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum Told {
    /// Not at all, because there is no body.
    Nothing,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The head of a request to send.
pub(in crate::upstream) struct RequestHead<'a> {
    pub(in crate::upstream) forward: &'a Forward<'a>,
    pub(super) target: &'a Target,
    pub(in crate::upstream) authorized: &'a ApiHeaders,
    pub(in crate::upstream) told: Told,
}

impl RequestHead<'_> {
    /// Writes the head: without the headers that are dropped, and with those that every request to the API carries.
    pub(in crate::upstream) fn write(&self, into: &mut Vec<u8>) {
        let Self { forward: Forward { came, path, id, .. }, target, authorized, told } = self;
        for part in [came.method.as_str(), " ", &target.base, path.as_str()] {
            into.extend_from_slice(part.as_bytes());
        }
        write_query([target.query.as_deref(), came.uri.query()], into);
        into.extend_from_slice(b" HTTP/1.1\r\n");
        write_field(into, &header::HOST, target.host.as_bytes());
        let came = &came.headers;
        let named = named_by_connection(came.get_all(header::CONNECTION).iter());
        let is_taken = |name| authorized.names.contains(name) || named.contains(name);
        for (name, value) in came {
            if !ends_here(name) && !is_taken(name) {
                write_field(into, name, value.as_bytes());
            }
        }
        if !is_taken(&REQUEST_ID) {
            write_field(into, &REQUEST_ID, id.as_bytes());
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

/// Writes the query of the base URL, followed by that of the request.
fn write_query(queries: [Option<&str>; 2], into: &mut Vec<u8>) {
    let mut before = b'?';
    for query in queries.into_iter().flatten().filter(|query| !query.is_empty()) {
        into.push(before);
        into.extend_from_slice(query.as_bytes());
        before = b'&';
    }
}

pub(in crate::upstream) fn write_field(into: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        into.extend_from_slice(part);
    }
}

/// Writes the trailers of a request that may be forwarded.
pub(in crate::upstream) fn write_trailers(into: &mut Vec<u8>, trailers: &HeaderMap) {
    for (name, value) in trailers.iter().filter(|(name, _)| !ends_here(name)) {
        write_field(into, name, value.as_bytes());
    }
}

/// True if a comma-separated list, as in `Connection` and `TE`, contains this token.
pub(in crate::upstream) fn names(list: &HeaderValue, word: &str) -> bool {
    list.as_bytes().split(|byte| *byte == b',').any(|item| {
        let item = item.split(|byte| *byte == b';').next().unwrap_or_default();
        item.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
    })
}

/// The hop-by-hop headers that `Connection` names, except those that describe the body.
fn named_by_connection<'a>(lists: impl Iterator<Item = &'a HeaderValue>) -> Vec<HeaderName> {
    // The usual values name no header that isn't dropped anyway.
    let is_usual =
        |list: &&HeaderValue| ["keep-alive", "close"].iter().any(|word| list.as_bytes().eq_ignore_ascii_case(word.as_bytes()));
    let items = lists.filter(|list| !is_usual(list)).flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    let named = items.filter_map(|item| HeaderName::from_bytes(item.trim_ascii()).ok());
    named.filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::CONTENT_TYPE | header::CONTENT_ENCODING)).collect()
}

/// Removes from a response the headers that its `Connection` names.
pub(in crate::upstream) fn drop_named_by_connection<'a>(lists: impl Iterator<Item = &'a HeaderValue>, headers: &mut HeaderMap) {
    for name in named_by_connection(lists) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use hyper::{Method, Request, http::request::Parts};

    use super::*;
    use crate::{domain::resources::request_path::RequestPath, upstream::http1::pool::HostPool};

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// The head of a request as the client sends it.
    fn request(method: Method, address: &str, headers: &HeaderMap) -> Parts {
        let mut request = Request::builder().method(method).uri(address).body(()).unwrap();
        *request.headers_mut() = headers.clone();
        request.into_parts().0
    }

    /// The lines of the head as sent to the base URL `https://api.example` with this path and query.
    fn lines(came: &Parts, base: &str, query: Option<&str>, authorized: &HeaderMap, told: Told) -> Vec<String> {
        let path = RequestPath::settle(came.uri.path()).unwrap();
        let forward = Forward { came, path: &path, id: &HeaderValue::from_static("run-17"), early: &|_, _| {} };
        let target = Target {
            host: HeaderValue::from_static("api.example"),
            base: base.into(),
            query: query.map(str::to_owned),
            pool: HostPool::new("api.example".into(), 443).into(),
        };
        let mut into = Vec::new();
        RequestHead { forward: &forward, target: &target, authorized: &ApiHeaders::new(authorized), told }.write(&mut into);
        let text = String::from_utf8(into).unwrap();
        text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned).collect()
    }

    /// The request line and the headers, in order.
    fn written(came: &HeaderMap, authorized: &HeaderMap, told: Told) -> Vec<String> {
        let mut lines = lines(&request(Method::GET, "/users?page=2", came), "", None, authorized, told);
        lines[1..].sort();
        lines
    }

    #[test]
    fn path_and_query_stand_behind_those_of_the_base_url() {
        for (base, of_base, address, sent) in [
            ("", None, "/users", "/users"),
            ("", None, "/users?", "/users"),
            ("", None, "/users?page=2&q=a?b", "/users?page=2&q=a?b"),
            ("/v1", None, "/users?page=2", "/v1/users?page=2"),
            ("/v1", Some("key=1"), "/users", "/v1/users?key=1"),
            ("/v1", Some("key=1"), "/users?page=2", "/v1/users?key=1&page=2"),
            ("", Some(""), "/%7euser", "/~user"),
        ] {
            let came = request(Method::DELETE, address, &HeaderMap::new());
            let first = &lines(&came, base, of_base, &HeaderMap::new(), Told::Nothing)[0];
            assert_eq!(*first, format!("DELETE {sent} HTTP/1.1"), "{base} {of_base:?} {address}");
        }
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
            ("x-request-id", "of the client"),
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
                "x-request-id: run-17",
            ]
        );
    }

    #[test]
    fn connection_cannot_name_what_tells_of_the_body() {
        let came = map(&[("connection", "content-length, content-type"), ("content-length", "9"), ("content-type", "a/b")]);
        let headers = written(&came, &HeaderMap::new(), Told::Chunked);
        assert_eq!(headers[1..4], ["content-type: a/b", "host: api.example", "transfer-encoding: chunked"]);
        let headers = written(&came, &HeaderMap::new(), Told::Nothing);
        assert_eq!(headers[1..], ["content-type: a/b", "host: api.example", "x-request-id: run-17"]);
    }

    #[test]
    fn a_connector_may_have_the_id_of_a_request_for_itself() {
        let headers = written(&HeaderMap::new(), &map(&[("x-request-id", "of the connector")]), Told::Nothing);
        assert_eq!(headers[1..], ["host: api.example", "x-request-id: of the connector"]);
    }

    #[test]
    fn trailers_frame_nothing_and_are_nobodys_authorization() {
        let trailers = map(&[("x-checksum", "7"), ("content-length", "3"), ("authorization", "Basic x"), ("host", "a")]);
        let mut into = Vec::new();
        write_trailers(&mut into, &trailers);
        assert_eq!(into, b"x-checksum: 7\r\n");
    }
}
