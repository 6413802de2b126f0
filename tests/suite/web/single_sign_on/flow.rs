//! To the provider and back: where one lands, what belongs to whom, and what happens to answers that nobody asked
//! for.

use std::time::Duration;

use keytile::domain::users::Role;
use reqwest::header;

use super::*;

const VIEWERS: &[&str] = &["--sso-default-role=viewer"];

fn set_cookie(page: &Page, name: &str) -> String {
    let cookies = page.headers.get_all(header::SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap().to_owned());
    let found: Vec<String> = cookies.filter(|cookie| cookie.starts_with(&format!("{name}="))).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[tokio::test]
async fn one_lands_on_the_page_that_was_asked_for_and_never_on_another_site() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let long = format!("/credentials?q={}", "x".repeat(1_100));
    for (asked, lands) in [
        ("/credentials%3Fq%3Da%2520b", "/credentials?q=a%20b"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/%5Cevil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/sign-in/sso", "/"),
        // Too long for a cookie.
        (&long, "/"),
    ] {
        let mut browser = site.server.visitor();
        let to = site.begin(&mut browser, &format!("/sign-in/sso?next={asked}")).await;
        let back = site.visit(&to, "ada").await;
        let done = browser.get(&back).await;
        assert_eq!((done.status, done.location.as_deref()), (303, Some(lands)), "{asked}: {}", done.text);
        assert!(site.is_signed_in(&browser).await);
    }
    // A user who is already signed in continues immediately.
    let mut browser = site.browser_of("ada").await;
    for (asked, lands) in [("/credentials", "/credentials"), ("//evil.example/", "/")] {
        let on = browser.get(&format!("/sign-in/sso?next={asked}")).await;
        assert_eq!((on.status, on.location.as_deref()), (303, Some(lands)));
    }
    site.server.stop().await;
}

#[tokio::test]
async fn the_cookies_are_what_they_have_to_be() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let mut browser = site.server.visitor();
    let sent = browser.get("/sign-in/sso").await;
    let cookie = set_cookie(&sent, PENDING);
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
    assert!(cookie.len() < 4_096);
    let to: Url = sent.location.unwrap().parse().unwrap();
    let value = |name: &str| to.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap();
    assert_eq!(value("redirect_uri"), site.server.address.join("/sign-in/sso/callback").unwrap().as_str());
    assert_eq!((value("response_type"), value("code_challenge_method")), ("code".into(), "S256".into()));
    assert_eq!(value("scope"), "openid profile email groups");
    for secret in [value("state"), value("nonce")] {
        assert!(secret.len() == 43 && !cookie.contains(&secret));
    }

    // A session that was there before ends, and its id with it.
    browser.cookies.insert(SESSION.to_owned(), "planted".repeat(6));
    let back = site.visit(&to, "ada").await;
    let done = browser.get(&back).await;
    assert!(set_cookie(&done, PENDING).contains("=; ") && set_cookie(&done, PENDING).contains("Max-Age=0"));
    assert!(set_cookie(&done, SESSION).contains("; HttpOnly; SameSite=Lax"));
    assert!(!browser.cookies.contains_key(PENDING));
    assert_ne!(browser.cookies[SESSION], "planted".repeat(6));
    site.server.stop().await;
}

#[tokio::test]
async fn somebody_else_who_was_signed_in_is_so_no_more() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let mut browser = site.server.visitor();
    let to = site.begin(&mut browser, "/sign-in/sso").await;
    let before = site.server.browser_as("ed@example.test", Role::Editor).await;
    browser.cookies.insert(SESSION.to_owned(), before.cookies[SESSION].clone());
    let back = site.visit(&to, "ada").await;
    assert_eq!(browser.get(&back).await.status, 303);
    browser.get("/").await.says("Ada Lovelace");
    assert!(!site.is_signed_in(&before).await, "the session before has ended");
    site.server.stop().await;
}

#[tokio::test]
async fn an_answer_counts_only_in_the_browser_that_asked_and_only_once() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let mut browser = site.server.visitor();
    let to = site.begin(&mut browser, "/sign-in/sso").await;
    let back = site.visit(&to, "ada").await;

    // In a browser that asked for nothing, and in one that asked for something else.
    let mut stranger = site.server.visitor();
    let refused = stranger.get(&back).await;
    assert_eq!(refused.status, 400);
    refused.says("does not belong to a sign-in that was begun in this browser");
    refused.says(&format!("open Keytile at {}", site.server.address));
    site.begin(&mut stranger, "/sign-in/sso").await;
    assert_eq!(stranger.get(&back).await.status, 400);
    assert!(!stranger.cookies.contains_key(SESSION) && stranger.cookies.contains_key(PENDING));

    // With a cookie that somebody changed, or that is none.
    let mut changed = browser.cookies[PENDING].clone().into_bytes();
    changed[100] = if changed[100] == b'A' { b'B' } else { b'A' };
    for cookie in [String::from_utf8(changed).unwrap(), "x".into(), String::new(), "A".repeat(5_000)] {
        stranger.cookies.insert(PENDING.to_owned(), cookie);
        assert_eq!(stranger.get(&back).await.status, 400);
    }
    // The session cookie of another browser's sign-in does not help either.
    assert_eq!(site.rows("SELECT email FROM users").await, ["ana@example.com"]);

    let kept = browser.clone();
    assert_eq!(browser.get(&back).await.status, 303);
    assert!(site.is_signed_in(&browser).await);
    // Once more: by the browser itself, whose cookie is gone, and by somebody who copied everything before.
    let mut again = browser.clone();
    again.cookies.remove(SESSION);
    assert_eq!(again.get(&back).await.status, 400);
    let mut copied = kept.clone();
    let refused = copied.get(&back).await;
    assert_eq!(refused.status, 403);
    refused.says("invalid_grant");
    assert!(!copied.cookies.contains_key(SESSION) && !copied.cookies.contains_key(PENDING));
    site.server.stop().await;
}

#[tokio::test]
async fn ten_minutes_are_enough() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let mut browser = site.server.visitor();
    let to = site.begin(&mut browser, "/sign-in/sso").await;
    let back = site.visit(&to, "ada").await;
    let mut late = browser.clone();
    site.setup.clock.advance(Duration::from_secs(600));
    assert_eq!(browser.get(&back).await.status, 303);
    site.setup.clock.advance(Duration::from_secs(1));
    let refused = late.get(&back).await;
    assert_eq!(refused.status, 400);
    refused.says("took longer than 10 minutes");
    assert!(!late.cookies.contains_key(PENDING) && !late.cookies.contains_key(SESSION));
    assert_eq!(site.events().await.last().unwrap(), "session.sign_in|failed|||single sign-on: it took too long");
    site.server.stop().await;
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_in_its_words_and_recorded_in_ours() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let mut browser = site.server.visitor();
    let refused = site.sign_in(&mut browser, "no-such-account").await;
    assert_eq!(refused.status, 403);
    refused.says("access_denied");
    refused.says("there is no such account");
    let request = refused.headers["x-request-id"].to_str().unwrap();
    assert!(refused.text.contains(request), "the page names the request");
    assert_eq!(refused.headers["cache-control"], "no-store");
    assert!(!site.is_signed_in(&browser).await);

    // Words that somebody chose are text, and not in the audit trail.
    let to = site.begin(&mut browser, "/sign-in/sso").await;
    let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let words = "%3Cscript%3Ealert(1)%3C/script%3E";
    let back = format!("/sign-in/sso/callback?error={words}&error_description={words}&iss=https://{PROVIDER}&state={state}");
    let refused = browser.get(&back).await;
    assert_eq!(refused.status, 403);
    assert!(!refused.text.contains("<script>alert"), "{}", refused.text);
    let events = site.events().await;
    assert_eq!(events, ["session.sign_in|failed|||single sign-on: the provider refused it"; 2]);

    // A parameter twice is an error (RFC 6749 section 3.1).
    assert_eq!(browser.get("/sign-in/sso/callback?code=a&code=b&state=c").await.status, 400);
    site.server.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_asked_once_in_five_seconds() {
    let Site { setup, server, provider } = Site::start(people(&[]), VIEWERS).await;
    // Nothing listens there now, so that connections are refused.
    drop(provider);
    let recorded = async || {
        let options = SqliteConnectOptions::new().filename(setup.data_dir().join("keytile.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let count = "SELECT COUNT(*) FROM audit_events WHERE detail = 'single sign-on: the provider cannot be reached'";
        sqlx::query_scalar::<_, i64>(count).fetch_one(&mut connection).await.unwrap()
    };
    for (failures, after) in [(1, 0), (1, 4), (2, 1)] {
        setup.clock.advance(Duration::from_secs(after));
        let page = server.visitor().get("/sign-in/sso").await;
        assert_eq!(page.status, 502);
        page.says("The identity provider cannot be reached");
        assert!(!page.headers.contains_key(header::SET_COOKIE), "nothing is under way");
        assert_eq!(recorded().await, failures);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_address_that_fails_again_and_again_waits() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let mut browser = site.server.visitor();
    let wrong = "/sign-in/sso/callback?code=guess&state=guess";
    for _ in 0..20 {
        site.begin(&mut browser, "/sign-in/sso").await;
        assert_eq!(browser.get(wrong).await.status, 400);
    }
    let to = site.begin(&mut browser, "/sign-in/sso").await;
    let back = site.visit(&to, "ada").await;
    let kept = browser.clone();
    let limited = browser.get(&back).await;
    assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (429, "60"));
    limited.says("Try again in 60 seconds");
    assert_eq!(site.events().await.len(), 20, "what is not tried is not recorded");
    site.setup.clock.advance(Duration::from_secs(60));
    let mut later = kept;
    assert_eq!(later.get(&back).await.status, 303);
    site.server.stop().await;
}
