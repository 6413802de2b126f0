//! The egress policy: what its kind suggests, and that it holds.

use axum::{body::Body, http::Response};
use futures_util::stream;
use reqwest::Method;

use super::{Scene, problem};
use crate::support::server::Browser;

async fn change(browser: &mut Browser, address: &str, typed: &[(&str, &str)]) -> crate::support::server::Page {
    let version = browser.get(address).await.value("version");
    let form: Vec<(&str, &str)> = [("version", version.as_str())].iter().chain(typed).copied().collect();
    browser.post(address, &form).await
}

#[tokio::test]
async fn a_changed_policy_holds_at_once() {
    let scene = Scene::set(|_| async { Response::builder().status(503).body(Body::empty()).unwrap() }).await;
    let mut browser = scene.server.browser();
    let address = format!("/sources/{}/policy", scene.source);
    browser.get(&format!("/sources/{}", scene.source)).await.says("GET, HEAD");
    let wrong = [("method", "GET"), ("prefixes", "users"), ("body_mib", "x"), ("per_minute", ""), ("retries", "0")];
    let refused = change(&mut browser, &address, &wrong).await;
    assert_eq!(refused.status, 422);
    refused.says("Start the path with a single /");
    refused.says("whole number of MiB");
    let typed = [
        ("method", "GET"),
        ("method", "DELETE"),
        ("prefixes", "/users\n/calls"),
        ("body_mib", "0"),
        ("per_minute", "4"),
        ("retries", "1"),
    ];
    let changed = change(&mut browser, &address, &typed).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    browser.get(changed.location.as_deref().unwrap()).await.says("4 per minute; up to 1 retries");
    let outside = scene.get("/account").send().await.unwrap();
    assert_eq!(problem(outside).await, (403, "path_not_allowed".into()));
    assert_eq!(problem(scene.get("/users").body("x").send().await.unwrap()).await, (413, "body_too_large".into()));
    for method in [Method::GET, Method::DELETE] {
        let before = scene.service.seen().len();
        assert_eq!(scene.ask(method, &scene.source, "/users/1").send().await.unwrap().status(), 503);
        assert_eq!(scene.service.seen().len(), before + 2, "sent again once");
    }
    for _ in 0..2 {
        scene.get("/calls").send().await.unwrap();
    }
    let beyond = scene.get("/calls").send().await.unwrap();
    assert!(beyond.headers().contains_key("retry-after"));
    assert_eq!(problem(beyond).await, (429, "rate_limited".into()));
    let trail = scene.setup.trail("resource.change").await;
    assert!(trail.iter().any(|event| event.contains("allows GET, HEAD, DELETE, 4 per minute")), "{trail:?}");
    assert!(!trail.iter().any(|event| event.contains("/calls")), "paths are sealed at rest: {trail:?}");
}

#[tokio::test]
async fn a_request_is_retried_only_where_that_is_allowed_harmless_and_in_time() {
    // The path says with which status, and what comes with it.
    let scene = Scene::set(|request: axum::http::Request<hyper::body::Incoming>| async move {
        let mut parts = request.uri().path().split('/').skip(1);
        let status = parts.next().and_then(|status| status.parse::<u16>().ok()).unwrap_or(200);
        let answer = Response::builder().status(status);
        let answer = match parts.next() {
            Some("now") => answer.header("retry-after", "0"),
            Some("later") => answer.header("retry-after", "3600"),
            Some("past") => answer.header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some("date") => answer.header("retry-after", "Fri, 06 Nov 2093 08:49:37 GMT"),
            _ => answer,
        };
        answer.body(Body::from("of the service")).unwrap()
    })
    .await;
    let tries = async |method: &Method, path: &str| {
        let before = scene.service.seen().len();
        let answer = scene.ask(method.clone(), &scene.source, path).send().await.unwrap();
        assert_eq!(answer.headers()["x-keytile-upstream"], "1", "what comes back is the last answer of the service");
        scene.service.seen().len() - before
    };
    assert_eq!(tries(&Method::GET, "/503/now").await, 1, "off until somebody says otherwise");

    let mut browser = scene.server.browser();
    let typed = [("method", "GET"), ("method", "POST"), ("prefixes", "/"), ("body_mib", "1"), ("per_minute", ""), ("retries", "2")];
    let changed = change(&mut browser, &format!("/sources/{}/policy", scene.source), &typed).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    for (path, expected) in [
        ("/429/now", 3),
        ("/502/now", 3),
        ("/503/past", 3),
        ("/504", 3),
        ("/500/now", 1),
        ("/200/now", 1),
        ("/429/later", 1),
        ("/503/date", 1),
    ] {
        assert_eq!(tries(&Method::GET, path).await, expected, "{path}");
        assert_eq!(tries(&Method::POST, path).await, 1, "{path}: sent twice it might be done twice");
    }
}

#[tokio::test]
async fn a_policy_that_somebody_else_changed_is_not_overwritten() {
    let scene = Scene::set(ok).await;
    let mut browser = scene.server.browser();
    let address = format!("/destinations/{}/policy", scene.destination);
    let version = browser.get(&address).await.value("version");
    let typed = [("method", "POST"), ("prefixes", "/"), ("body_mib", "1"), ("per_minute", ""), ("retries", "0")];
    let form: Vec<(&str, &str)> = [("version", version.as_str())].iter().chain(&typed).copied().collect();
    assert_eq!(browser.post(&address, &form).await.status, 303);
    let late = browser.post(&address, &form).await;
    assert_eq!(late.status, 422);
    late.says("This was changed while you were editing.");
}

#[tokio::test]
async fn its_old_address_leads_to_the_new_one() {
    let scene = Scene::set(ok).await;
    let mut browser = scene.server.browser();
    for (kind, id) in [("sources", &scene.source), ("destinations", &scene.destination)] {
        let (old, new) = (format!("/{kind}/{id}/contract"), format!("/{kind}/{id}/policy"));
        for query in ["", "?a=b%20c&d"] {
            let page = browser.get(&format!("{old}{query}")).await;
            assert_eq!((page.status, page.location), (308, Some(format!("{new}{query}"))));
        }
        let posted = browser.post(&old, &[("version", "1")]).await;
        assert_eq!((posted.status, posted.location.as_deref()), (308, Some(new.as_str())));
        browser.get(&new).await.says("Allowed requests");
    }
    for nothing in [format!("/things/{}/contract", scene.source), "/sources/agents/contract".into()] {
        assert_eq!(browser.get(&nothing).await.status, 404, "{nothing}");
    }
}

async fn ok(_: axum::http::Request<hyper::body::Incoming>) -> Response<Body> {
    Response::new(Body::from("ok"))
}

#[tokio::test]
async fn a_source_reads_and_a_destination_writes() {
    let scene = Scene::set(ok).await;
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(scene.ask(method, &scene.source, "/anything").send().await.unwrap().status(), 200);
    }
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(scene.ask(method.clone(), &scene.destination, "/anything").send().await.unwrap().status(), 200);
        let answer = scene.ask(method, &scene.source, "/anything").send().await.unwrap();
        assert_eq!(answer.headers()["allow"], "GET, HEAD");
        assert_eq!(problem(answer).await, (405, "method_not_allowed".into()));
    }
    let answer = scene.ask(Method::GET, &scene.destination, "/contacts").send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "POST, PUT, PATCH, DELETE");
    assert_eq!(problem(answer).await, (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn a_body_has_a_bound_whether_or_not_its_length_is_told() {
    let scene = Scene::set(|request: axum::http::Request<hyper::body::Incoming>| async move {
        let length = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await.map_or(0, |body| body.len());
        Response::new(Body::from(length.to_string()))
    })
    .await;
    let most = 1 << 20;
    let told = scene.get("/users").body(vec![0; most + 1]).send().await.unwrap();
    assert_eq!(problem(told).await, (413, "body_too_large".into()));
    assert_eq!(scene.get("/users").body(vec![0; most]).send().await.unwrap().status(), 200);
    let pieces = stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![0; 100_000])));
    let untold = scene.get("/users").header("transfer-encoding", "chunked").body(reqwest::Body::wrap_stream(pieces)).send().await;
    // The connection is closed after the answer; whether the client was still writing is its luck.
    if let Ok(untold) = untold {
        assert_eq!(problem(untold).await, (413, "body_too_large".into()));
    }
    let small = stream::iter((0..2).map(|_| Ok::<_, std::io::Error>(vec![0; 100_000])));
    let small = scene.get("/users").header("transfer-encoding", "chunked").body(reqwest::Body::wrap_stream(small));
    assert_eq!(small.send().await.unwrap().text().await.unwrap(), "200000", "the body of a GET too");
}
