//! Who is refused and with which words: keys, scopes, resources, paths, and services that do not answer.

use std::time::Duration;

use axum::{body::Body, http::Response};
use keytile::{domain::users::Role, service::access::caller::Caller};
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::json;

use super::{Scene, add_resource, make_key, problem};
use crate::support::{
    api_server::with_json,
    raw::Raw,
    server::{Server, Setup},
};

async fn ok(_: axum::http::Request<hyper::body::Incoming>) -> Response<Body> {
    with_json(200, &json!({"ok": true}))
}

async fn with(scene: &Scene, key: &str) -> reqwest::Response {
    let url = scene.server.address.join(&format!("/proxy/{}/users", scene.source)).unwrap();
    scene.client.get(url).header(AUTHORIZATION, key).send().await.unwrap()
}

#[tokio::test]
async fn only_a_key_with_the_scope_is_let_in() {
    let scene = Scene::set(ok).await;
    let url = scene.server.address.join(&format!("/proxy/{}/users", scene.source)).unwrap();
    let bare = scene.client.get(url.clone()).send().await.unwrap();
    assert_eq!(bare.headers()["www-authenticate"], "Bearer realm=\"keytile\"");
    assert_eq!(problem(bare).await, (401, "key_missing".into()));
    assert_eq!(problem(with(&scene, "Basic YTpi").await).await, (401, "key_missing".into()));
    assert_eq!(problem(with(&scene, "Bearer kt_wrong").await).await, (401, "key_rejected".into()));
    let mut other = scene.key.clone();
    other.replace_range(3..4, if other.as_bytes()[3] == b'a' { "b" } else { "a" });
    assert_eq!(problem(with(&scene, &format!("Bearer {other}")).await).await, (401, "key_rejected".into()));
    let reading = make_key(&scene.server, &["resources:read", "tokens:issue", "credentials:manage"], &[]).await;
    let with_admin = with(&scene, &format!("Bearer {reading}")).await;
    assert_eq!(problem(with_admin).await, (403, "scope_missing".into()));
    // Neither a cookie nor a key in the address opens anything.
    let mut browser = scene.server.browser();
    let page = browser.get(&format!("/proxy/{}/users?key={}", scene.source, scene.key)).await;
    assert_eq!(page.status, 401);
    let doubled = scene.client.get(url).header(AUTHORIZATION, format!("Bearer {}", scene.key)).header(AUTHORIZATION, "Bearer x");
    assert_eq!(problem(doubled.send().await.unwrap()).await, (401, "key_missing".into()));
    assert_eq!(with(&scene, &format!("bearer {}", scene.key)).await.status(), 200);
    assert_eq!(scene.service.seen().iter().filter(|head| head.uri == "/users").count(), 1);
}

#[tokio::test]
async fn a_key_reaches_its_resources_and_those_of_its_owner_only() {
    let scene = Scene::set(ok).await;
    let limited = make_key(&scene.server, &["proxy"], &[&scene.destination]).await;
    assert_eq!(problem(with(&scene, &format!("Bearer {limited}")).await).await, (404, "resource_not_found".into()));
    for none in ["00000000-0000-0000-0000-000000000000", "x", "", &scene.source.replace('-', "")] {
        let answer = scene.ask(Method::GET, none, "/users").send().await.unwrap();
        assert_eq!(problem(answer).await, (404, "resource_not_found".into()), "{none}");
    }
    // Somebody else's resource, whose credential is not shared.
    let mut ben = scene.server.browser_as("ben@example.com", Role::Editor).await;
    let theirs = ben.add_credential("Private").await;
    let private = add_resource(&mut ben, "sources/new/talkdesk", &theirs, "Private", "GET", "/users").await;
    let answer = scene.ask(Method::GET, &private, "/users").send().await.unwrap();
    assert_eq!(problem(answer).await, (404, "resource_not_found".into()));
}

#[tokio::test]
async fn what_is_taken_back_is_refused_at_once() {
    let scene = Scene::set(ok).await;
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 200);
    let mut browser = scene.server.browser();
    let deleted = browser.post(&format!("/sources/{}/delete", scene.source), &[]).await;
    assert_eq!(deleted.status, 303, "{}", deleted.text);
    assert_eq!(problem(scene.get("/users").send().await.unwrap()).await, (404, "resource_not_found".into()));
    let other = scene.ask(Method::POST, &scene.destination, "/contacts").send().await.unwrap();
    assert_eq!(other.status(), 200);
    let keys = scene.server.service.api_keys(&Caller::server("test"), None).await.unwrap().keys;
    assert!(scene.server.service.revoke_api_key(&Caller::server("test"), keys[0].id).await.unwrap());
    let revoked = scene.ask(Method::POST, &scene.destination, "/contacts").send().await.unwrap();
    assert_eq!(problem(revoked).await, (401, "key_rejected".into()));
}

/// Sends a request target as it is.
async fn raw(server: &Server, method: &str, target: &str, key: &str, more: &str) -> String {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n{more}Connection: close\r\n\r\n",
        server.listening
    );
    Raw::with(server.listening, &request).await.rest().await
}

#[tokio::test]
async fn no_path_leaves_the_resource() {
    let scene = Scene::set(ok).await;
    let before = scene.service.seen().len();
    for path in [
        "/../admin",
        "/users/../admin",
        "/users/%2e%2e/admin",
        "/users/%2E%2e%2fadmin",
        "/users/%252e%252e/admin",
        "/users/..;/admin",
        "/users/.",
        "//evil.example/users",
        "/users//admin",
        "/users\\..\\admin",
        "/users/%5c..%5cadmin",
        "/users/%00",
        "/users/%0d%0aX-Injected:%201",
        "/users/%zz",
    ] {
        let answer = raw(&scene.server, "GET", &format!("/proxy/{}{path}", scene.source), &scene.key, "").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(answer.contains("path_invalid"), "{path}: {answer}");
    }
    assert_eq!(scene.service.seen().len(), before);
    let plain = scene.get("/a%20b/%7Euser/x%2Fy").send().await.unwrap();
    assert_eq!(plain.status(), 200);
    assert_eq!(scene.service.seen().pop().unwrap().uri, "/a%20b/~user/x%2Fy");
}

#[tokio::test]
async fn other_protocols_and_hosts_are_refused() {
    let scene = Scene::set(ok).await;
    let target = format!("/proxy/{}/users", scene.source);
    let upgrade = raw(&scene.server, "GET", &target, &scene.key, "Upgrade: websocket\r\n").await;
    assert!(upgrade.starts_with("HTTP/1.1 501 ") && upgrade.contains("upgrade_refused"), "{upgrade}");
    let other = scene.get("/users").header("host", "elsewhere.example").send().await.unwrap();
    assert_eq!(problem(other).await, (421, "other_host".into()));
    let site = scene.ask(Method::POST, &scene.destination, "/contacts").header("sec-fetch-site", "cross-site");
    assert_eq!(problem(site.send().await.unwrap()).await, (421, "other_host".into()));
    for method in ["TRACE", "OPTIONS", "PROPFIND", "get"] {
        let answer = raw(&scene.server, method, &target, &scene.key, "").await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.to_ascii_lowercase().contains("allow: get, head"), "{answer}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_told_apart() {
    let mut setup = Setup::new().impatient();
    setup.overrides.limits.first_byte = Duration::from_secs(1);
    setup.overrides.limits.idle = Duration::from_secs(1);
    let scene = Scene::set_with(setup, |request: axum::http::Request<hyper::body::Incoming>| async move {
        match request.uri().path() {
            "/silent" => std::future::pending().await,
            "/stuck" => {
                let pieces = futures_util::StreamExt::chain(
                    futures_util::stream::iter([Ok::<_, std::io::Error>("piece")]),
                    futures_util::stream::pending(),
                );
                Response::new(Body::from_stream(pieces))
            }
            _ => with_json(200, &json!({})),
        }
    })
    .await;
    assert_eq!(problem(scene.get("/silent").send().await.unwrap()).await, (504, "upstream_timeout".into()));
    let stuck = scene.get("/stuck").send().await.unwrap();
    assert_eq!(stuck.status(), 200);
    assert!(stuck.text().await.is_err(), "what stops in the middle is not whole");
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 200);
    let Scene { setup, server, service, client, source, key, .. } = scene;
    drop(service);
    let url = server.address.join(&format!("/proxy/{source}/users")).unwrap();
    let dead = client.get(url).header(AUTHORIZATION, format!("Bearer {key}")).send().await.unwrap();
    let body = dead.text().await.unwrap();
    assert!(body.contains("upstream_unreachable") && body.contains("\"stage\":\"connection\""), "{body}");
    drop(setup);
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_the_request() {
    let mut setup = Setup::new();
    setup.overrides.limits.idle = Duration::from_millis(200);
    setup.overrides.serving.body_whole = Duration::from_millis(200);
    let scene = Scene::set_with(setup, |request: axum::http::Request<hyper::body::Incoming>| async move {
        let whole = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await.is_ok();
        with_json(200, &json!({ "whole": whole }))
    })
    .await;
    for length in [10, 1_000_000] {
        let head = format!(
            "POST /proxy/{}/contacts HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\r\nhalf",
            scene.destination, scene.server.listening, scene.key
        );
        let answer = Raw::with(scene.server.listening, &head).await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_incomplete"), "{length}: {answer}");
    }
}

#[tokio::test]
async fn what_is_taken_back_while_a_body_is_waited_for_is_refused() {
    let scene = Scene::set(ok).await;
    let (service, caller) = (&scene.server.service, Caller::server("test"));
    let head = format!(
        "POST /proxy/{}/contacts HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        scene.destination, scene.server.listening, scene.key
    );
    let before = scene.service.seen().len();
    // Each is asked for its body once it may be sent.
    let mut waiting = [Raw::with(scene.server.listening, &head).await, Raw::with(scene.server.listening, &head).await];
    for waiting in &mut waiting {
        waiting.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    let [mut first, mut second] = waiting;
    let deleted = scene.server.browser().post(&format!("/destinations/{}/delete", scene.destination), &[]).await;
    assert_eq!(deleted.status, 303, "{}", deleted.text);
    first.write("body").await;
    let refused = first.until("resource_not_found").await;
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
    let keys = service.api_keys(&caller, None).await.unwrap().keys;
    assert!(service.revoke_api_key(&caller, keys[0].id).await.unwrap());
    second.write("body").await;
    let refused = second.until("key_rejected").await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert_eq!(scene.service.seen().len(), before, "neither was sent");
}
