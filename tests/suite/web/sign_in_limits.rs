//! Limits of sign-ins: how they grow and end, whom they stop, and whom they do not.

use std::time::Duration;

use futures_util::future::join_all;
use keytile::service::{
    Service,
    access::caller::{Caller, Origin},
    auth::sign_in::{Browser as Device, RawSignIn, SignInOutcome},
};

use super::people::link_in;
use crate::support::server::{ADMINISTRATOR, Browser, PASSWORD, Page, Server, Setup};

/// The cookie of a browser that has signed in before.
const DEVICE: &str = "keytile_device";

/// How a sign-in ended, as a word; and how long the wait is.
async fn attempt(service: &Service, address: &str, email: &str, password: &str) -> (&'static str, u64) {
    let caller = Caller::nobody("", Origin { address: address.into(), request: String::new() });
    let raw = RawSignIn { email: email.into(), password: password.into() };
    match service.sign_in(&caller, &raw, Device { agent: "", device: None }, None).await.unwrap() {
        SignInOutcome::Done(_) => ("done", 0),
        SignInOutcome::CodeNeeded(_) => ("code", 0),
        SignInOutcome::Wrong => ("wrong", 0),
        SignInOutcome::Limited(wait) => ("limited", wait.as_secs()),
        SignInOutcome::Busy => ("busy", 0),
    }
}

/// The sign-in of somebody who has never used this browser.
async fn stranger(server: &Server, email: &str, password: &str) -> Page {
    server.visitor().sign_in(email, password).await
}

#[track_caller]
fn limited(page: &Page, seconds: u64) {
    assert_eq!(page.status, 429, "{}", page.text);
    assert_eq!(page.headers["retry-after"], seconds.to_string().as_str());
    let unit = if seconds == 1 { "second" } else { "seconds" };
    page.says(&format!("Try again in {seconds} {unit}."));
}

#[tokio::test]
async fn after_five_failures_the_waits_grow_up_to_five_minutes() {
    let setup = Setup::new();
    let server = setup.start().await;
    for email in [ADMINISTRATOR, "nobody@example.com"] {
        for _ in 0..5 {
            assert_eq!(attempt(&server.service, "", email, "wrong").await, ("wrong", 0), "{email}");
        }
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let checked = server.service.passwords_checked();
            // What comes while it is blocked, right or wrong, is not checked and does not prolong the block.
            for password in ["wrong", PASSWORD, "wrong"] {
                assert_eq!(attempt(&server.service, "", email, password).await, ("limited", wait), "{email}");
            }
            setup.clock.advance(Duration::from_millis(wait * 1_000 - 1));
            assert_eq!(attempt(&server.service, "", email, PASSWORD).await, ("limited", 1), "{email}");
            assert_eq!(server.service.passwords_checked(), checked, "{email}");
            setup.clock.advance(Duration::from_millis(1));
            assert_eq!(attempt(&server.service, "", email, "wrong").await, ("wrong", 0), "{email}");
        }
    }
}

#[tokio::test]
async fn the_page_says_how_many_seconds_and_says_it_of_every_account() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut pages = Vec::new();
    for email in [ADMINISTRATOR, "nobody@example.com"] {
        for _ in 0..5 {
            assert_eq!(stranger(&server, email, "wrong").await.status, 422);
        }
        let mut browser = server.visitor();
        let page = browser.sign_in(email, PASSWORD).await;
        limited(&page, 1);
        assert_eq!(page.value("email"), email);
        pages.push(page.text.replace(email, "EMAIL").replace(&browser.form_token(), "TOKEN"));
        setup.clock.advance(Duration::from_secs(1));
        assert_eq!(stranger(&server, email, "wrong").await.status, 422);
        limited(&stranger(&server, email, PASSWORD).await, 2);
    }
    assert_eq!(pages[0], pages[1]);
    // Once a block, and once a failure, in the audit trail.
    let blocks = setup.trail("session.limited").await;
    let of = |name: &str| blocks.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(blocks.len(), 4, "{blocks:?}");
    let line =
        |name: &str, count, wait| format!("{name} session.limited refused passwords of this account: {count} failures, {wait} s");
    for name in [ADMINISTRATOR, "unknown account"] {
        assert_eq!(of(name), [line(name, 5, 1), line(name, 6, 2)]);
    }
    let failures = setup.trail("session.sign_in").await;
    assert_eq!(failures.iter().filter(|line| line.contains(" failed ")).count(), 12);
}

#[tokio::test]
async fn a_success_and_a_day_without_failure_clear_the_count() {
    let setup = Setup::new();
    let server = setup.start().await;
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(attempt(&server.service, "", ADMINISTRATOR, "wrong").await.0, "wrong");
        }
        assert_eq!(attempt(&server.service, "", ADMINISTRATOR, PASSWORD).await.0, "done");
    }
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(attempt(&server.service, "", ADMINISTRATOR, "wrong").await.0, "wrong");
        }
        setup.clock.advance(Duration::from_secs(24 * 3_600));
    }
}

#[tokio::test]
async fn guesses_that_come_at_once_are_no_more_than_those_that_come_in_turn() {
    let setup = Setup::new();
    let server = setup.start().await;
    let checked = server.service.passwords_checked();
    let all = join_all((0..30).map(|_| attempt(&server.service, "", ADMINISTRATOR, "wrong"))).await;
    assert_eq!(all.iter().filter(|(word, _)| *word == "wrong").count(), 5, "{all:?}");
    assert_eq!(all.iter().filter(|(word, _)| *word == "limited").count(), 25, "{all:?}");
    assert_eq!(server.service.passwords_checked() - checked, 5);
}

#[tokio::test]
async fn an_address_may_fail_twenty_times_at_whatever_accounts() {
    let setup = Setup::new();
    let server = setup.start().await;
    // A /64 of IPv6 is one address.
    for (address, same, other) in
        [("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"), ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", "2001:db8:0:2::1")]
    {
        for number in 0..20 {
            let email = format!("n{number}-{address}@example.com");
            assert_eq!(attempt(&server.service, address, &email, "wrong").await, ("wrong", 0), "{number}");
        }
        assert_eq!(attempt(&server.service, address, ADMINISTRATOR, PASSWORD).await, ("limited", 1));
        assert_eq!(attempt(&server.service, same, ADMINISTRATOR, PASSWORD).await, ("limited", 1));
        assert_eq!(attempt(&server.service, other, ADMINISTRATOR, PASSWORD).await, ("done", 0));
        setup.clock.advance(Duration::from_secs(1));
        // Somebody with an account of their own cannot clear the count by signing in to it.
        assert_eq!(attempt(&server.service, address, ADMINISTRATOR, PASSWORD).await, ("done", 0));
        assert_eq!(attempt(&server.service, address, "other@example.com", "wrong").await, ("wrong", 0));
        assert_eq!(attempt(&server.service, address, "other@example.com", "wrong").await, ("limited", 2));
        setup.clock.advance(Duration::from_secs(24 * 3_600));
    }
}

#[tokio::test]
async fn the_address_of_a_request_is_what_is_counted() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut known = server.signed_in().await;
    known.post("/sign-out", &[]).await;
    for number in 0..20 {
        assert_eq!(stranger(&server, &format!("n{number}@example.com"), "wrong").await.status, 422);
    }
    limited(&stranger(&server, ADMINISTRATOR, PASSWORD).await, 1);
    assert_eq!(attempt(&server.service, "127.0.0.1", ADMINISTRATOR, PASSWORD).await, ("limited", 1));
    // A browser that has signed in before does not pay for its neighbours.
    assert_eq!(known.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_browser_is_known_from_the_set_up_or_the_link_that_an_account_began_with() {
    let server = Setup::new().start_without_accounts().await;
    let mut first = server.visitor();
    let token = first.get(&format!("/setup?{}", server.setup.as_ref().unwrap().query().unwrap())).await.value("token");
    let typed = [("token", token.as_str()), ("email", ADMINISTRATOR), ("name", "Ana"), ("password", PASSWORD)];
    assert_eq!(first.post("/setup", &typed).await.status, 303);
    let added = first.post("/settings/people", &[("email", "ben@example.com"), ("name", "Ben"), ("role", "viewer")]).await;
    let mut second = server.visitor();
    let token = second.get(&link_in(&added)).await.value("token");
    assert_eq!(second.post("/password", &[("token", &token), ("password", PASSWORD)]).await.status, 303);
    for (mut known, email) in [(first, ADMINISTRATOR), (second, "ben@example.com")] {
        known.post("/sign-out", &[]).await;
        for _ in 0..5 {
            assert_eq!(stranger(&server, email, "wrong").await.status, 422);
        }
        limited(&stranger(&server, email, PASSWORD).await, 1);
        assert_eq!(known.sign_in(email, PASSWORD).await.status, 303, "{email}");
    }
    server.stop().await;
}

#[tokio::test]
async fn strangers_do_not_keep_out_a_browser_that_has_signed_in_before() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut known = server.signed_in().await;
    known.post("/sign-out", &[]).await;
    assert!(known.cookies.contains_key(DEVICE));
    for _ in 0..5 {
        assert_eq!(stranger(&server, ADMINISTRATOR, "wrong").await.status, 422);
    }
    limited(&stranger(&server, ADMINISTRATOR, PASSWORD).await, 1);
    assert_eq!(known.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
    limited(&stranger(&server, ADMINISTRATOR, PASSWORD).await, 1);
    known.post("/sign-out", &[]).await;
    // It has a limit of its own, which it cannot leave by more attempts either.
    for _ in 0..5 {
        assert_eq!(known.sign_in(ADMINISTRATOR, "wrong").await.status, 422);
    }
    limited(&known.sign_in(ADMINISTRATOR, PASSWORD).await, 1);
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(known.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_device_cookie_is_good_for_its_account_alone_and_cannot_be_made_up() {
    let setup = Setup::new();
    let server = setup.start().await;
    setup.person("ben@example.com", Some(PASSWORD)).await;
    let of_ben = {
        let mut browser = server.visitor();
        assert_eq!(browser.sign_in("ben@example.com", PASSWORD).await.status, 303);
        browser.cookies[DEVICE].clone()
    };
    for _ in 0..5 {
        assert_eq!(stranger(&server, ADMINISTRATOR, "wrong").await.status, 422);
    }
    let with = |device: &str| -> Browser {
        let mut browser = server.visitor();
        browser.cookies.insert(DEVICE.into(), device.into());
        browser
    };
    let changed = format!("{}{}", if of_ben.starts_with('A') { 'B' } else { 'A' }, &of_ben[1..]);
    let long = "A".repeat(4_000);
    for device in [of_ben.as_str(), &changed, "", "AAAA", &"A".repeat(64), &long] {
        limited(&with(device).sign_in(ADMINISTRATOR, PASSWORD).await, 1);
    }
    // Where it is for another account, signing in makes a new one; where it is for this one, it stays.
    setup.clock.advance(Duration::from_secs(1));
    let mut browser = with(&of_ben);
    assert_eq!(browser.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
    let of_ana = browser.cookies[DEVICE].clone();
    assert_ne!(of_ana, of_ben);
    browser.post("/sign-out", &[]).await;
    assert_eq!(browser.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
    assert_eq!(browser.cookies[DEVICE], of_ana);
    // It lets nobody in by itself.
    assert_eq!(with(&of_ana).get("/credentials").await.status, 303);
}

#[tokio::test]
async fn the_table_of_limits_tells_nothing() {
    let setup = Setup::new();
    let server = setup.start().await;
    attempt(&server.service, "192.0.2.1", ADMINISTRATOR, "wrong").await;
    let buckets = setup.texts("SELECT hex(bucket) FROM sign_in_limits").await;
    assert_eq!(buckets.len(), 2);
    // Another installation counts the same things elsewhere.
    let other = Setup::new();
    let server = other.start().await;
    attempt(&server.service, "192.0.2.1", ADMINISTRATOR, "wrong").await;
    let others = other.texts("SELECT hex(bucket) FROM sign_in_limits").await;
    assert!(buckets.iter().all(|bucket| bucket.len() == 64 && !others.contains(bucket)));
}
