//! One fetch however many ask, and none that is not needed.

use std::{sync::atomic::Ordering, time::Duration};

use keytile::service::{ServiceError, access::caller::Caller};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{SECOND, Says, Scene, issued};
use crate::web::sessions::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_ask_at_once_cause_one_fetch() {
    let scene = Scene::set().await;
    scene.let_it_end();
    scene.keeps_waiting();
    let before = scene.asked();
    let asking: Vec<_> = (0..10_000)
        .map(|_| {
            let (service, resource) = (scene.server.service.clone(), scene.resource);
            tokio::spawn(async move {
                issued(service.issue_token(&Caller::server("test"), resource, Duration::ZERO).await.unwrap()).access_token
            })
        })
        .collect();
    scene.is_asked(before + 1).await;
    scene.answers();
    for one in asking {
        assert_eq!(one.await.unwrap().expose_secret(), "tok-2");
    }
    assert_eq!(scene.asked() - before, 1);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_token_is_replaced_early_while_the_present_one_serves() {
    let scene = Scene::set().await;
    let service = &scene.server.service;
    assert_eq!(scene.token(service).await, "tok-1", "the Save has brought one");
    scene.setup.clock.advance(SECOND * 539);
    assert_eq!((scene.token(service).await.as_str(), scene.asked()), ("tok-1", 1));
    scene.keeps_waiting();
    scene.setup.clock.advance(SECOND * 2);
    for _ in 0..20 {
        assert_eq!(scene.token(service).await, "tok-1", "nobody waits");
    }
    scene.answers();
    until(async || scene.token(service).await == "tok-2").await;
    assert_eq!(scene.asked(), 2);
    scene.server.stop().await;
}

#[tokio::test]
async fn tokens_of_any_lifetime_are_not_fetched_with_each_call() {
    let scene = Scene::set().await;
    let service = &scene.server.service;
    let mut end = 601;
    for (expires_in, lives) in
        [(json!(5), 5), (json!("60"), 60), (json!(30 * 86_400), 30 * 86_400), (json!(1e300), 30 * 86_400), (json!(600), 600)]
    {
        scene.says(Says::Token(expires_in.clone()));
        scene.setup.clock.advance(SECOND * end);
        let before = scene.asked();
        for _ in 0..50 {
            let access = issued(scene.ask(service).await);
            assert!(access.seconds_left <= lives && access.seconds_left + 3 >= lives, "{expires_in}: {}", access.seconds_left);
            assert_eq!(access.authorization.expose_secret().split_once(' ').unwrap().1, access.access_token.expose_secret());
        }
        assert_eq!(scene.asked() - before, 1, "{expires_in}");
        end = u32::try_from(lives).unwrap() + 1;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_clock_that_jumps_costs_a_fetch_at_most() {
    let scene = Scene::set().await;
    let service = &scene.server.service;
    for (jump, expected) in [(300_000, 1), (-600_000, 1), (900_000, 2), (-1_200_000, 2), (600_000, 2)] {
        scene.setup.clock.jump(jump);
        for _ in 0..5 {
            issued(scene.ask(service).await);
        }
        assert_eq!(scene.asked(), expected, "after a jump of {jump} ms");
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn more_validity_brings_a_new_token_and_one_that_goes_away_does_not_end_the_fetch() {
    let scene = Scene::set().await;
    let service = scene.server.service.clone();
    scene.setup.clock.advance(SECOND * 350);
    let caller = Caller::server("test");
    let ask = |seconds: u64| service.issue_token(&caller, scene.resource, Duration::from_secs(seconds));
    assert_eq!(issued(ask(200).await.unwrap()).access_token.expose_secret(), "tok-1");
    assert_eq!(issued(ask(100_000).await.unwrap()).access_token.expose_secret(), "tok-2", "as far as there are such");
    assert_eq!(issued(ask(100_000).await.unwrap()).access_token.expose_secret(), "tok-2");
    scene.let_it_end();
    scene.keeps_waiting();
    tokio::select! {
        _ = scene.ask(&service) => panic!("the token has not come yet"),
        () = scene.is_asked(3) => {}
    }
    scene.answers();
    assert_eq!(scene.token(&service).await, "tok-3");
    assert_eq!(scene.asked(), 3);
    scene.server.stop().await;
}

#[tokio::test]
async fn many_whose_token_is_refused_cause_one_fetch() {
    let scene = Scene::set().await;
    scene.refused.lock().unwrap().push("tok-1".into());
    scene.keeps_waiting();
    let path = format!("/sources/{}/preview", scene.resource);
    let previews: Vec<_> = (0..6)
        .map(|_| {
            let (mut browser, path) = (scene.server.browser(), path.clone());
            tokio::spawn(async move { browser.post(&path, &[]).await })
        })
        .collect();
    scene.is_asked(2).await;
    scene.answers();
    for preview in previews {
        let page = preview.await.unwrap();
        assert_eq!(page.status, 200);
        page.says("yes");
    }
    assert_eq!(scene.asked(), 2);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_panic_in_a_fetch_is_told_to_all_and_holds_up_nobody_after_it() {
    let scene = Scene::set().await;
    let service = scene.server.service.clone();
    scene.let_it_end();
    scene.keeps_waiting();
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (service, resource) = (service.clone(), scene.resource);
            tokio::spawn(async move { service.issue_token(&Caller::server("test"), resource, Duration::ZERO).await })
        })
        .collect();
    scene.is_asked(2).await;
    // The next to look at the clock is the fetch, which gets its token now.
    scene.setup.clock.breaks.store(true, Ordering::SeqCst);
    scene.answers();
    for asking in asking {
        assert!(matches!(asking.await.unwrap(), Err(ServiceError::Interrupted)));
    }
    assert_eq!(scene.token(&service).await, "tok-3");
    assert_eq!(scene.asked(), 3);
    scene.server.stop().await;
}
