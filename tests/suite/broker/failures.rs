//! What happens while a service issues no token: each class has its schedule, and nobody hammers the service.

use std::time::Duration;

use keytile::domain::tokens::failure::FailureClass;
use serde_json::json;

use super::{SECOND, Says, Scene, issued, refusal};
use crate::{support::fault_server::Reply, web::sessions::until};

fn rejecting() -> Says {
    Says::Always(Reply::json(401, json!({"error": "invalid_client"})))
}

fn answering(status: u16, headers: Vec<(&'static str, String)>) -> Says {
    Says::Always(Reply::Whole(status, headers, "no".into()))
}

/// A pause of this many seconds has just begun, within the precision of a machine under load.
#[track_caller]
fn assert_pause(left: Duration, seconds: u32) {
    assert!(left <= SECOND * seconds && left + SECOND * 5 >= SECOND * seconds, "{left:?}");
}

/// A scene whose service returns this from now on, and has no token left.
async fn failing(says: Says) -> Scene {
    let scene = Scene::set().await;
    scene.let_it_end();
    scene.says(says);
    scene
}

#[tokio::test]
async fn a_rejection_marks_the_credential_and_is_retried_on_a_growing_schedule() {
    let scene = failing(rejecting()).await;
    let service = &scene.server.service;
    let before = scene.asked();
    for (number, pause) in [15_u32, 30, 60, 120, 240, 480, 900, 900].into_iter().enumerate() {
        for _ in 0..10 {
            let refusal = refusal(scene.ask(service).await);
            assert_eq!(refusal.class, FailureClass::Rejected);
            assert_pause(refusal.retry_in, pause);
            assert!(refusal.diagnosis.summary.contains("rejected"), "{refusal:?}");
        }
        assert_eq!(scene.asked() - before, number + 1);
        scene.setup.clock.advance(SECOND * pause);
    }
    let page = scene.server.browser().get("/credentials").await;
    page.says("Rejected");
    let recorded = "SELECT CAST(count(*) AS TEXT) FROM verifications";
    assert_eq!(scene.setup.texts(recorded).await, ["2"], "the Save, and the first of the series");
    scene.says(Says::Token(json!(600)));
    issued(scene.ask(service).await);
    assert_eq!(scene.setup.texts(recorded).await, ["3"]);
    assert_eq!(scene.setup.texts("SELECT status FROM credentials").await, ["verified"]);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_limit_is_kept_for_as_long_as_the_service_says() {
    let scene = failing(answering(429, vec![("Retry-After", "40".into())])).await;
    let service = &scene.server.service;
    let before = scene.asked();
    let first = refusal(scene.ask(service).await);
    assert_eq!(first.class, FailureClass::Limited);
    assert_pause(first.retry_in, 40);
    scene.setup.clock.advance(SECOND * 39);
    refusal(scene.ask(service).await);
    assert_eq!(scene.asked() - before, 1);
    scene.says(answering(429, Vec::new()));
    scene.setup.clock.advance(SECOND);
    // The second in a row, of Keytile's own.
    assert_pause(refusal(scene.ask(service).await).retry_in, 20);
    scene.server.stop().await;
}

#[tokio::test]
async fn what_is_down_is_asked_again_soon_and_then_less_often() {
    let scene = failing(answering(503, Vec::new())).await;
    let service = &scene.server.service;
    let mut waited = Vec::new();
    for _ in 0..9 {
        let refusal = refusal(scene.ask(service).await);
        assert_eq!(refusal.class, FailureClass::Unavailable);
        scene.setup.clock.advance(refusal.retry_in + SECOND);
        waited.push(refusal.retry_in);
    }
    assert_pause(waited[0], 1);
    assert!(waited[8] >= SECOND * 25 && waited.iter().all(|pause| *pause <= SECOND * 60), "{waited:?}");
    scene.says(answering(503, vec![("Retry-After", "100".into())]));
    assert_pause(refusal(scene.ask(service).await).retry_in, 100);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_token_that_is_still_good_is_used_while_its_service_is_down() {
    let scene = Scene::set().await;
    let service = &scene.server.service;
    scene.says(answering(500, Vec::new()));
    scene.setup.clock.advance(SECOND * 541);
    assert_eq!(scene.token(service).await, "tok-1");
    until(async || scene.asked() == 2).await;
    until(async || scene.setup.texts("SELECT class FROM token_fetches WHERE class IS NOT NULL").await.len() == 1).await;
    for _ in 0..20 {
        assert_eq!(scene.token(service).await, "tok-1");
    }
    assert_eq!(scene.asked(), 2, "on the schedule of the failure");
    scene.setup.clock.advance(SECOND * 60);
    assert_eq!(refusal(scene.ask(service).await).class, FailureClass::Unavailable);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_restart_and_another_instance_do_not_ask_a_service_that_rejected() {
    let scene = failing(rejecting()).await;
    refusal(scene.ask(&scene.server.service).await);
    let asked = scene.asked();
    for _ in 0..2 {
        let other = scene.setup.service().await;
        let refusal = refusal(scene.ask(&other).await);
        assert_eq!(refusal.class, FailureClass::Rejected);
        assert!(refusal.diagnosis.summary.contains("rejected"), "the diagnosis is still known: {refusal:?}");
        assert!(refusal.retry_in <= SECOND * 15);
        other.close().await;
    }
    assert_eq!(scene.asked(), asked);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_test_that_passes_ends_the_pause_on_every_instance() {
    let scene = failing(rejecting()).await;
    let other = scene.setup.service().await;
    refusal(scene.ask(&scene.server.service).await);
    refusal(scene.ask(&other).await);
    scene.says(Says::Token(json!(600)));
    let tested = scene.server.browser().post(&format!("/credentials/{}/test", scene.credential), &[]).await;
    assert!(tested.status < 400, "{}", tested.text);
    let asked = scene.asked();
    assert_eq!(scene.token(&scene.server.service).await, "tok-2");
    // When the pause is over it would ask again, which is counted.
    until(async || matches!(scene.ask(&other).await, keytile::service::tokens::issue::TokenIssue::Issued(_))).await;
    assert_eq!(scene.asked(), asked);
    other.close().await;
    scene.server.stop().await;
}
