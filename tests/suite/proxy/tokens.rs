//! Access tokens behind the proxy: one that the service takes no more is replaced and the request sent again; where
//! there is none, the client is told why and when to come back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::body::Incoming;
use reqwest::Method;
use serde_json::json;

use super::{Scene, add_resource};
use crate::{
    support::{
        api_server::with_json,
        server::{OVERLAY, Setup},
    },
    web::{damaged::with_copied_connector, sessions::until},
};

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let body = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap_or_default();
    Response::new(Body::from(body))
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_for_all() {
    let scene = Scene::set(echo).await;
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 200);
    scene.service.revoke();
    let asking = (0..40).map(|number| {
        let body = format!("body {number}");
        let request = scene.ask(Method::POST, &scene.destination, "/contacts").body(body.clone());
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap(), body)
        }
    });
    for (status, text, body) in futures_util::future::join_all(asking).await {
        assert_eq!((status, text), (200, body), "sent again whole, with the new token");
    }
    assert_eq!(scene.service.issued(), 2);
}

#[tokio::test]
async fn a_connector_may_say_that_403_refuses_a_token_too() {
    let setup = with_copied_connector(Setup::new(), "strict", "[api]", "[api]\ntoken_refused = [401, 403]");
    // A service that forbids what comes with the first token of each credential.
    let scene = Scene::set_with(setup, |request: Request<Incoming>| async move {
        let old = ["Basic tok-1", "Basic tok-2"].iter().any(|old| request.headers()["authorization"] == *old);
        Response::builder().status(if old && request.uri() != "/account" { 403 } else { 200 }).body(Body::empty()).unwrap()
    })
    .await;
    let mut browser = scene.server.browser();
    let credential = browser.add_credential_in(&OVERLAY.replace("talkdesk", "strict"), "Strict").await;
    let strict = add_resource(&mut browser, "sources/new/strict", &credential, "Strict", "GET", "/users").await;
    assert_eq!(scene.service.issued(), 2);

    let answer = scene.get("/users").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), scene.service.issued()), (403, 2), "403 is about the request, unless somebody says more");
    let answer = scene.ask(Method::GET, &strict, "/users").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), scene.service.issued()), (200, 3));
}

#[tokio::test]
async fn a_body_that_streams_is_not_sent_again_but_the_next_one_succeeds() {
    let scene = Scene::set(echo).await;
    scene.service.revoke();
    let large = vec![b'x'; 200_000];
    let refused = scene.ask(Method::POST, &scene.destination, "/contacts").body(large.clone()).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["x-keytile-upstream"].to_str().unwrap()), (401, "1"));
    until(async || scene.service.issued() == 2).await;
    until(async || {
        let answer = scene.ask(Method::POST, &scene.destination, "/contacts").body(large.clone()).send().await.unwrap();
        answer.status() == 200
    })
    .await;
}

#[tokio::test]
async fn a_service_that_refuses_every_token_does_not_cost_one_for_each_request() {
    let scene = Scene::set(|_| async { with_json(401, &json!({"message": "wrong prefix"})) }).await;
    for _ in 0..10 {
        let answer = scene.get("/users").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().contains("wrong prefix")), (401, true));
    }
    assert!(scene.service.issued() <= 5, "{} tokens for ten requests", scene.service.issued());
}

#[tokio::test]
async fn where_no_token_is_issued_the_client_is_told_so() {
    let scene = Scene::set(echo).await;
    scene.service.issues_instead(Some((400, json!({"error": "invalid_client"}))));
    scene.service.revoke();
    // What the service said of the request stands, as there is nothing better.
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 401);
    scene.setup.clock.advance(std::time::Duration::from_secs(3_600));
    let rejected = scene.get("/users").send().await.unwrap();
    assert!(rejected.headers().contains_key("retry-after"));
    let body = rejected.text().await.unwrap();
    assert!(body.contains("credential_rejected") && body.contains("\"code\":\"invalid_client\""), "{body}");
    assert!(!body.contains("sandbox-secret") && !body.contains("talkdeskid"), "{body}");
    let mut browser = scene.server.browser();
    browser.get(&format!("/credentials/{}", scene.credential)).await.says("rejected");
}

#[tokio::test]
async fn a_token_that_expired_is_replaced_before_it_is_used() {
    let scene = Scene::set(echo).await;
    scene.get("/users").send().await.unwrap();
    scene.setup.clock.advance(std::time::Duration::from_secs(3_600));
    scene.service.revoke();
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 200);
    let seen = scene.service.seen();
    let used: Vec<_> = seen.iter().filter(|head| head.uri == "/users").map(|head| head.header("authorization").unwrap()).collect();
    assert_eq!(used, ["Basic tok-1", "Basic tok-2"]);
}

#[tokio::test]
async fn many_at_once_over_a_cold_start_cost_one_token() {
    let scene = Scene::set(echo).await;
    scene.setup.clock.advance(std::time::Duration::from_secs(3_600));
    let done = Arc::new(AtomicUsize::new(0));
    let asking = (0..200).map(|_| {
        let (request, done) = (scene.get("/users"), Arc::clone(&done));
        async move {
            assert_eq!(request.send().await.unwrap().status(), 200);
            done.fetch_add(1, Ordering::SeqCst);
        }
    });
    futures_util::future::join_all(asking).await;
    assert_eq!((done.load(Ordering::SeqCst), scene.service.issued()), (200, 2));
}

#[tokio::test]
async fn a_restart_fetches_nothing() {
    let scene = Scene::set(echo).await;
    let Scene { setup, server, service, client, source, key, .. } = scene;
    server.stop().await;
    let server = setup.start().await;
    let url = server.address.join(&format!("/proxy/{source}/users")).unwrap();
    let answer = client.get(url).header("authorization", format!("Bearer {key}")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), service.issued()), (200, 1));
}
