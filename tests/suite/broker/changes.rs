//! What is changed or deleted is not used any more; and who may ask for a token.

use std::{sync::Arc, time::Duration};

use keytile::{
    domain::{api_keys::Scopes, users::Role},
    service::{
        access::caller::{Caller, KeyIdentity, Origin, Person},
        tokens::issue::TokenIssue,
    },
};
use uuid::Uuid;

use super::{Scene, issued};

/// A program with a key of the first administrator.
async fn program(scene: &Scene, scopes: &str, resources: Option<Vec<Uuid>>) -> Caller {
    let id = scene.setup.texts("SELECT lower(hex(id)) FROM users").await.remove(0).parse().unwrap();
    let owner = Person { id, email: "ana@example.com".into(), name: "Ana".into(), role: Role::Administrator };
    let scopes = Scopes::parse(scopes).unwrap();
    let key = KeyIdentity { id: Uuid::from_u128(8), name: "Exports".into(), owner, scopes, resources };
    Caller::key(Arc::new(key), Origin::default())
}

#[tokio::test]
async fn a_credential_that_is_deleted_while_its_token_is_fetched_brings_none() {
    let scene = Scene::set().await;
    scene.let_it_end();
    scene.keeps_waiting();
    let (service, resource) = (scene.server.service.clone(), scene.resource);
    let asking = tokio::spawn(async move { service.issue_token(&Caller::server("test"), resource, Duration::ZERO).await.unwrap() });
    scene.is_asked(2).await;
    let mut ana = scene.server.browser();
    assert_eq!(ana.post(&format!("/sources/{}/delete", scene.resource), &[]).await.status, 303);
    assert_eq!(ana.post(&format!("/credentials/{}/delete", scene.credential), &[]).await.status, 303);
    scene.answers();
    assert!(matches!(asking.await.unwrap(), TokenIssue::NotFound));
    for table in ["access_tokens", "token_fetches"] {
        assert!(scene.setup.texts(&format!("SELECT 'row' FROM {table}")).await.is_empty(), "{table}");
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn deleting_and_changing_is_known_to_every_instance() {
    let scene = Scene::set().await;
    let epoch = async || scene.setup.texts("SELECT CAST(value AS TEXT) FROM access_epoch").await[0].parse::<i64>().unwrap();
    let mut ana = scene.server.browser();
    let other = ana.add_credential("Other").await;
    let before = epoch().await;
    let changed = ana.post(&format!("/sources/{}/credential", scene.resource), &[("credential", &other)]).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    let after_change = epoch().await;
    assert_eq!(ana.post(&format!("/sources/{}/delete", scene.resource), &[]).await.status, 303);
    let after_resource = epoch().await;
    assert_eq!(ana.post(&format!("/credentials/{}/delete", scene.credential), &[]).await.status, 303);
    assert_eq!([after_change, after_resource, epoch().await], [before + 1, before + 2, before + 3]);
    scene.server.stop().await;
}

#[tokio::test]
async fn only_a_key_with_the_scope_gets_a_token_and_only_for_its_resources() {
    let scene = Scene::set().await;
    let service = &scene.server.service;
    let issue = async |caller: Caller| service.issue_token(&caller, scene.resource, Duration::ZERO).await.unwrap();
    let allowed = program(&scene, "tokens:issue", None).await;
    for _ in 0..3 {
        issued(issue(allowed.clone()).await);
    }
    issued(issue(program(&scene, "tokens:issue", Some(vec![scene.resource])).await).await);
    let elsewhere = program(&scene, "tokens:issue", Some(vec![Uuid::from_u128(5)])).await;
    assert!(matches!(issue(elsewhere).await, TokenIssue::NotFound));
    let nothing = service.issue_token(&allowed, Uuid::from_u128(5), Duration::ZERO).await.unwrap();
    assert!(matches!(nothing, TokenIssue::NotFound));
    assert!(matches!(issue(program(&scene, "proxy credentials:manage", None).await).await, TokenIssue::NotAllowed));
    assert!(matches!(issue(Caller::nobody("x", Origin::default())).await, TokenIssue::NotAllowed));
    assert_eq!(scene.setup.trail("resource.issue_token").await, ["Exports resource.issue_token done "], "once a minute");
    assert_eq!(scene.setup.trail("access.refused").await.len(), 2);
    scene.setup.clock.advance(Duration::from_secs(60));
    issued(issue(allowed).await);
    assert_eq!(scene.setup.trail("resource.issue_token").await.len(), 2);
    scene.server.stop().await;
}
