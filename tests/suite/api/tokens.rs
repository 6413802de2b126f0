//! Access tokens for programs that call a service directly.

use reqwest::Method;
use serde_json::json;

use super::{Program, start};

#[tokio::test]
async fn a_token_comes_with_the_header_to_send() {
    let (_setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let resource = program.add_source("Agents", credential.id()).await;
    let path = format!("/api/v1/resources/{}/token", resource.id());
    let issuing = Program::with(&server, "tokens:issue").await;
    let issued = issuing.ask(Method::POST, &path, None, &[]).await.is(200);
    let token = issued.body["access_token"].as_str().unwrap();
    assert_eq!(issued.body["token_type"], "Basic");
    assert_eq!(issued.body["header"], json!({ "name": "Authorization", "value": format!("Basic {token}") }));
    assert_eq!(issued.header("cache-control"), "no-store");
    let left = issued.body["seconds_left"].as_u64().unwrap();
    assert!((500..=600).contains(&left), "{left}");
    // The one that it has is good enough, until more is asked for.
    let again = issuing.post(&path, &json!({ "min_validity": 60 })).await.is(200);
    assert_eq!(again.body["access_token"], token);
    for (body, wrong) in [
        (json!({ "min_validity": 2_592_001 }), ("min_validity", "invalid")),
        (json!({ "min_validity": -1 }), ("min_validity", "invalid")),
        (json!({ "min_validity": "60" }), ("min_validity", "invalid")),
        (json!({ "validity": 60 }), ("validity", "unknown")),
    ] {
        issuing.post(&path, &body).await.wrong_in(422, &[wrong]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_longer_validity_brings_another_token() {
    let (setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let resource = program.add_source("Agents", credential.id()).await;
    let path = format!("/api/v1/resources/{}/token", resource.id());
    let first = program.post(&path, &json!({})).await.is(200);
    setup.clock.advance(std::time::Duration::from_secs(350));
    let same = program.post(&path, &json!({ "min_validity": 200 })).await.is(200);
    assert_eq!(same.body["access_token"], first.body["access_token"]);
    let fresh = program.post(&path, &json!({ "min_validity": 500 })).await.is(200);
    assert_ne!(fresh.body["access_token"], first.body["access_token"]);
    assert!(fresh.body["seconds_left"].as_u64().unwrap() >= 500);
    server.stop().await;
}

#[tokio::test]
async fn who_may_not_have_one_is_told_so() {
    let (setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let resource = program.add_source("Agents", credential.id()).await;
    let path = format!("/api/v1/resources/{}/token", resource.id());
    for scope in ["resources:read", "proxy", "credentials:manage"] {
        let refused = Program::with(&server, scope).await.ask(Method::POST, &path, None, &[]).await;
        refused.problem(403, "scope_missing");
    }
    let refused = "SELECT COUNT(*) || '' FROM audit_events WHERE action = 'access.refused'";
    assert_eq!(setup.texts(refused).await, ["3"]);
    let nothing = format!("/api/v1/resources/{}/token", super::rights::NOTHING);
    program.ask(Method::POST, &nothing, None, &[]).await.problem(404, "not_found");
    server.stop().await;
}
