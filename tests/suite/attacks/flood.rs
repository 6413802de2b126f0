//! A flood of sign-ins, beside somebody who works. What is counted is answers and work, not time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use keytile::crypto::password::PasswordCost;
use tokio::task::JoinSet;

use crate::support::server::{ADMINISTRATOR, PASSWORD, Setup};

/// Failures of an address that are let through before it has to wait, as docs/security.md says.
const FREE: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_guesses_costs_what_the_limits_allow_and_stops_nobody() {
    let mut setup = Setup::sandbox();
    // Work that takes some milliseconds, so that guesses meet.
    setup.overrides.password_cost = PasswordCost::new(2 * 1_024, 2, 1).unwrap();
    let server = setup.start().await;
    let mut ana = server.signed_in().await;
    let at_once = thread::available_parallelism().unwrap().get() + keytile::service::auth::password_hashing::WAITING + 16;
    let running = Arc::new(AtomicUsize::new(at_once));
    let hashed_before = server.service.passwords_checked();
    let mut flood = JoinSet::new();
    for number in 0..at_once {
        let (mut browser, running) = (server.visitor(), Arc::clone(&running));
        flood.spawn(async move {
            browser.get("/sign-in").await;
            let mut answers = Vec::new();
            for guess in 0..5 {
                // Some for the account of somebody who works, some for others, and some for nobody's.
                let email = if number % 3 == 0 { ADMINISTRATOR.to_owned() } else { format!("n{number}-{guess}@example.com") };
                let page = browser.post("/sign-in", &[("email", &email), ("password", "guess")]).await;
                answers.push((page.status, page.headers.contains_key("retry-after")));
            }
            running.fetch_sub(1, Ordering::SeqCst);
            answers
        });
    }
    // A signed-in user continues in the meantime.
    let mut pages = 0;
    while running.load(Ordering::SeqCst) > 0 || pages < 20 {
        for path in ["/", "/credentials", "/settings", "/audit"] {
            assert_eq!(ana.get(path).await.status, 200, "{path}");
            pages += 1;
        }
    }
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    while let Some(of_one) = flood.join_next().await {
        for (status, says_when) in of_one.unwrap() {
            *answers.entry(status).or_default() += 1;
            assert_eq!(says_when, status != 422, "{status} says when to come back");
        }
    }
    assert_eq!(answers.values().sum::<usize>(), at_once * 5);
    assert!(answers.keys().all(|status| [422, 429, 503].contains(status)), "{answers:?}");
    let hashed = server.service.passwords_checked() - hashed_before;
    assert!((1..=FREE).contains(&hashed), "{hashed} passwords were hashed for {} guesses: {answers:?}", at_once * 5);
    assert!(answers.get(&429).is_some_and(|limited| *limited > at_once), "{answers:?}");
    // A known browser signs in immediately, although strangers guessed at the same account from the same address.
    assert_eq!(ana.post("/sign-out", &[]).await.status, 303);
    assert_eq!(ana.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
    // And everybody else once the longest wait is over.
    let mut elsewhere = server.visitor();
    assert_eq!(elsewhere.sign_in(ADMINISTRATOR, PASSWORD).await.status, 429);
    setup.clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(elsewhere.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
    server.stop().await;
}
