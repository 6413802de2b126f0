//! Refuses requests that no page of Keytile can have caused: those for another host name, which is how DNS
//! rebinding reaches a server on loopback, and state-changing ones from other sites (CSRF).

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::Url;

/// Which hosts and origins belong to Keytile.
#[derive(Debug)]
pub(crate) struct Guard {
    /// `host` or `host:port` in lower case, as in a `Host` header.
    hosts: Vec<String>,
    /// The origin of the public URL.
    origin: String,
    /// True if loopback names are allowed, each of which is a separate origin.
    loopback: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is for another host.
    OtherHost,
    /// It was caused by a page of another site.
    OtherSite,
}

impl Guard {
    /// Allows the host of the public URL. `loopback` is the listening address if no public URL was configured; then
    /// loopback names with its port are allowed too.
    pub(crate) fn new(public_url: &Url, loopback: Option<SocketAddr>) -> Self {
        let mut hosts = Vec::new();
        if let Some(host) = public_url.host_str() {
            // A URL drops the default port of its scheme, but a `Host` header may contain it.
            match (public_url.port(), public_url.port_or_known_default()) {
                (Some(port), _) => hosts.push(format!("{host}:{port}")),
                (None, Some(port)) => hosts.extend([host.to_owned(), format!("{host}:{port}")]),
                (None, None) => hosts.push(host.to_owned()),
            }
        }
        for (name, port) in ["localhost", "127.0.0.1", "[::1]"].into_iter().filter_map(|name| Some((name, loopback?.port()))) {
            hosts.push(format!("{name}:{port}"));
            if Some(port) == default_port(public_url) {
                hosts.push(name.to_owned());
            }
        }
        Self { hosts, origin: public_url.origin().ascii_serialization(), loopback: loopback.is_some() }
    }

    /// Checks whether a request is allowed.
    pub(crate) fn check(&self, method: &Method, authority: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
        // The authority of an absolute request target replaces the `Host` header (RFC 9112 section 3.2.2).
        let host = authority.or_else(|| only_host(headers)?.to_str().ok());
        let host = self.hosts.iter().find(|own| host.is_some_and(|host| own.eq_ignore_ascii_case(host)));
        let host = host.ok_or(Refusal::OtherHost)?;
        if method.is_safe() {
            return Ok(());
        }
        let own = match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
            (Some(site), _) => site == "same-origin" || site == "none",
            (None, Some(origin)) => origin.to_str().is_ok_and(|origin| self.is_own_origin(origin, host)),
            // Every browser sends at least one of the two with a POST; other clients need not.
            (None, None) => true,
        };
        if own { Ok(()) } else { Err(Refusal::OtherSite) }
    }

    fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        let same_host = || origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(|it| it == host);
        origin == self.origin || (self.loopback && same_host())
    }
}

fn default_port(url: &Url) -> Option<u16> {
    match url.scheme() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The only `Host` header: if there are several, a proxy in front may have used another one.
fn only_host(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut hosts = headers.get_all(header::HOST).iter();
    hosts.next().filter(|_| hosts.next().is_none())
}

pub(crate) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    match guard.check(request.method(), authority, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(Refusal::OtherHost) => {
            tracing::warn!("refused: the request is for another host");
            StatusCode::MISDIRECTED_REQUEST.into_response()
        }
        Err(Refusal::OtherSite) => {
            tracing::warn!("refused: the request came from another site");
            StatusCode::FORBIDDEN.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, routing::get};
    use tower::ServiceExt;

    async fn status(public_url: &str, method: Method, headers: &[(&str, &str)]) -> u16 {
        let url = Url::parse(public_url).unwrap();
        let loopback = (url.host_str() == Some("127.0.0.1")).then(|| "127.0.0.1:8321".parse().unwrap());
        let own = Arc::new(Guard::new(&url, loopback));
        let router =
            Router::new().route("/", get(|| async {}).post(|| async {})).layer(axum::middleware::from_fn_with_state(own, guard));
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn only_own_hosts_are_served() {
        for own in ["keytile.example", "KEYTILE.example", "keytile.example:443"] {
            assert_eq!(status("https://keytile.example/", Method::GET, &[("host", own)]).await, 200, "{own}");
        }
        for other in
            ["evil.example", "keytile.example:8321", "keytile.example.evil.example", "localhost:8321", "127.0.0.1:8321", ""]
        {
            assert_eq!(status("https://keytile.example/", Method::GET, &[("host", other)]).await, 421, "{other}");
        }
        for own in ["localhost:8321", "127.0.0.1:8321", "[::1]:8321"] {
            assert_eq!(status("http://127.0.0.1:8321/", Method::GET, &[("host", own)]).await, 200, "{own}");
        }
        for other in ["evil.example:8321", "localhost", "127.0.0.1:80", "127.0.0.2:8321"] {
            assert_eq!(status("http://127.0.0.1:8321/", Method::GET, &[("host", other)]).await, 421, "{other}");
        }
        let two = [("host", "keytile.example"), ("host", "keytile.example")];
        assert_eq!(status("https://keytile.example/", Method::GET, &two).await, 421);
        let forwarded = [("host", "evil.example"), ("x-forwarded-host", "keytile.example")];
        assert_eq!(status("https://keytile.example/", Method::GET, &forwarded).await, 421);
        assert_eq!(status("https://keytile.example/", Method::GET, &[]).await, 421);
        assert_eq!(status("http://keytile.example:8080/", Method::GET, &[("host", "keytile.example")]).await, 421);
        assert_eq!(status("http://keytile.example:8080/", Method::GET, &[("host", "keytile.example:8080")]).await, 200);
    }

    #[tokio::test]
    async fn other_sites_cannot_change_anything() {
        let host = ("host", "keytile.example");
        let post = async |headers: &[(&str, &str)]| {
            let all: Vec<_> = std::iter::once(host).chain(headers.iter().copied()).collect();
            status("https://keytile.example/", Method::POST, &all).await
        };
        assert_eq!(post(&[("sec-fetch-site", "same-origin")]).await, 200);
        assert_eq!(post(&[("sec-fetch-site", "none")]).await, 200);
        assert_eq!(post(&[("sec-fetch-site", "same-site")]).await, 403);
        assert_eq!(post(&[("sec-fetch-site", "cross-site")]).await, 403);
        // An `Origin` that looks right doesn't override what the browser says about the site.
        assert_eq!(post(&[("sec-fetch-site", "cross-site"), ("origin", "https://keytile.example")]).await, 403);
        assert_eq!(post(&[("origin", "https://keytile.example")]).await, 200);
        assert_eq!(post(&[("origin", "https://keytile.example:8443")]).await, 403);
        assert_eq!(post(&[("origin", "https://evil.example")]).await, 403);
        assert_eq!(post(&[("origin", "http://keytile.example")]).await, 403, "a page without TLS is anybody's");
        assert_eq!(post(&[("origin", "null")]).await, 403);
        assert_eq!(post(&[]).await, 200);
        let get = status("https://keytile.example/", Method::GET, &[host, ("sec-fetch-site", "cross-site")]).await;
        assert_eq!(get, 200, "a link on another site may lead here");
    }

    #[tokio::test]
    async fn one_loopback_name_is_not_the_other() {
        let headers = [("host", "127.0.0.1:8321"), ("origin", "http://localhost:8321")];
        assert_eq!(status("http://127.0.0.1:8321/", Method::POST, &headers).await, 403);
        let headers = [("host", "localhost:8321"), ("origin", "http://localhost:8321")];
        assert_eq!(status("http://127.0.0.1:8321/", Method::POST, &headers).await, 200);
    }
}
