//! Choosing a password with a link.

use std::time::Duration;

use super::{
    over_both_databases,
    people::{add, link_in, page_of},
};
use crate::support::{
    database::TestDatabase,
    server::{PASSWORD, Setup},
};

over_both_databases!(
    the_link_signs_in_once,
    a_wrong_password_keeps_the_link,
    a_link_that_cannot_be_used_says_so,
    who_has_a_second_factor_still_gives_its_code,
    whoever_was_signed_in_before_is_not_any_more,
);

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn token_of(link: &str) -> &str {
    link.split_once('=').unwrap().1
}

async fn the_link_signs_in_once(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let link = link_in(&add(&mut ana, "ben@example.com", "Ben", "viewer").await);
    let mut ben = server.visitor();
    let page = ben.get(&link).await;
    assert_eq!(page.status, 200);
    page.says("ben@example.com");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.value("token"), token_of(&link));
    let before = ben.cookies.clone();
    let typed = [("token", token_of(&link)), ("password", PASSWORD)];
    let done = ben.post("/password", &typed).await;
    assert_eq!((done.status, done.location.as_deref()), (303, Some("/")));
    assert_ne!(ben.cookies, before, "the session has a new id");
    ben.get("/").await.says("Ben");
    let kept = database.number("SELECT COUNT(*) FROM users WHERE email = 'ben@example.com' AND password LIKE '$argon2id$%'").await;
    assert_eq!(kept, 1);
    assert_eq!(database.number("SELECT COUNT(*) FROM password_links").await, 0);
    let mut thief = server.visitor();
    assert_eq!(thief.get(&link).await.status, 404);
    assert_eq!(thief.post("/password", &typed).await.status, 404);
    assert_eq!(ben.get("/").await.status, 200, "and nothing happens to who used it");
    let events = "SELECT COUNT(*) FROM audit_events WHERE actor_name = 'ben@example.com' AND action IN ('user.change_password',
        'session.sign_in') AND outcome = 'done'";
    assert_eq!(database.number(events).await, 2);
    ana.get(&page_of(&mut ana.clone(), "ben@example.com").await).await.says("just now");
    server.stop().await;
}

async fn a_wrong_password_keeps_the_link(setup: Setup, _: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let link = link_in(&add(&mut ana, "ben@example.com", "Ben", "viewer").await);
    let mut ben = server.visitor();
    ben.get(&link).await;
    for (wrong, reason) in
        [("short", "Use at least 12"), ("ben@example.com", "other than your email"), ("password1234", "easy to guess")]
    {
        let page = ben.post("/password", &[("token", token_of(&link)), ("password", wrong)]).await;
        assert_eq!(page.status, 422, "{wrong}");
        page.says(reason);
        page.says("id=\"f-password-error\"");
        assert!(!page.text.contains(&format!("value=\"{wrong}\"")) || wrong == "ben@example.com", "it is not echoed");
    }
    assert_eq!(ben.post("/password", &[("token", token_of(&link)), ("password", PASSWORD)]).await.status, 303);
    server.stop().await;
}

async fn a_link_that_cannot_be_used_says_so(setup: Setup, _: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let link = link_in(&add(&mut ana, "ben@example.com", "Ben", "viewer").await);
    let mut ben = server.visitor();
    for path in ["/password", "/password?token=", "/password?token=nonsense", "/password?token=%00"] {
        let page = ben.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        page.says("This link doesn't work.");
    }
    setup.clock.advance(3 * DAY - Duration::from_secs(1));
    assert_eq!(ben.get(&link).await.status, 200);
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(ben.get(&link).await.status, 404, "three days are over");
    assert_eq!(ben.post("/password", &[("token", token_of(&link)), ("password", PASSWORD)]).await.status, 404);
    // A form of another page's session is refused before anything is looked at.
    let forged = ben.post("/password", &[("form_token", "x"), ("token", token_of(&link)), ("password", PASSWORD)]).await;
    assert_eq!(forged.status, 403);
    server.stop().await;
}

async fn who_has_a_second_factor_still_gives_its_code(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let link = link_in(&add(&mut ana, "ben@example.com", "Ben", "viewer").await);
    let bytes = if database.is_postgres() { "'\\x01'::bytea" } else { "x'01'" };
    database.execute(&format!("UPDATE users SET second_factor = {bytes} WHERE email = 'ben@example.com'")).await.unwrap();
    let mut ben = server.visitor();
    ben.get(&link).await;
    let done = ben.post("/password", &[("token", token_of(&link)), ("password", PASSWORD)]).await;
    assert_eq!((done.status, done.location.as_deref()), (303, Some("/sign-in/code")));
    let asked = ben.get("/").await;
    assert_eq!((asked.status, asked.location.as_deref()), (303, Some("/sign-in/code")), "nothing is open yet");
    let never = "SELECT COUNT(*) FROM users WHERE email = 'ben@example.com' AND signed_in_at IS NULL";
    assert_eq!(database.number(never).await, 1);
    server.stop().await;
}

async fn whoever_was_signed_in_before_is_not_any_more(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let link = link_in(&add(&mut ana, "ben@example.com", "Ben", "viewer").await);
    let mut still = ana.clone();
    ana.get(&link).await;
    assert_eq!(ana.post("/password", &[("token", token_of(&link)), ("password", PASSWORD)]).await.status, 303);
    ana.get("/").await.says("Ben");
    assert_eq!(still.get("/").await.status, 303, "the session before is gone, not only its cookie");
    assert_eq!(database.number("SELECT COUNT(*) FROM sessions").await, 1);
    server.stop().await;
}
