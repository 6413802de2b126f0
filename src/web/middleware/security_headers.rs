//! Headers that tell a browser what a page of Keytile never does: run script or style from elsewhere, appear in a
//! frame, connect to another host, or be cached.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A year, as browsers and OWASP ASVS (3.4.1) ask for. Without `includeSubDomains`, because other hosts below this
/// name are not Keytile's to decide about.
const ONLY_HTTPS: &str = "max-age=31536000";

pub(crate) async fn headers(State(Https(https)): State<Https>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with that, a browser sends `Origin: null` with a form, and if it sends no
        // `Sec-Fetch-Site` either (plain HTTP beyond loopback), Keytile's own forms would be refused.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONLY_HTTPS));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether the public URL is HTTPS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Https(pub(crate) bool);

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, http::StatusCode, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt;

    #[tokio::test]
    async fn every_answer_carries_them() {
        let router = Router::new()
            .route("/page", get(|| async { "page" }))
            .route("/kept", get(|| async { ([(header::CACHE_CONTROL, "public")], "kept") }))
            .layer(from_fn_with_state(Https(false), headers));
        for (path, status, cache) in [("/page", 200, "no-store"), ("/kept", 200, "public"), ("/absent", 404, "no-store")] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::from_u16(status).unwrap());
            let value = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(value("cache-control"), cache);
            assert_eq!(value("x-content-type-options"), "nosniff");
            let policy = value("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert!(!response.headers().contains_key("strict-transport-security"));
        }
    }

    #[tokio::test]
    async fn under_https_browsers_are_told_to_stay_there() {
        let router = Router::new().layer(from_fn_with_state(Https(true), headers));
        let response = router.oneshot(Request::builder().uri("/absent").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
    }
}
