//! Sessions: how they end, the page that lists them, and what changing a password does to them.

use std::time::Duration;

use keytile::{
    crypto::password::PasswordCost,
    domain::users::Role,
    service::{
        access::caller::Caller,
        users::{
            admin::{PersonChanged, PersonState},
            password_links::{PasswordReset, PasswordSet},
        },
    },
};

use tokio::time::timeout;

use crate::support::{
    clock::HOLDS_WITHIN,
    raw::{PATIENCE, Raw},
    server::{ADMINISTRATOR, Browser, OVERLAY, PASSWORD, SESSION, Server, Setup, good_values, replaced},
};

const NEW_PASSWORD: &str = "tulip gravel anchor 9";
const HOUR: Duration = Duration::from_secs(3_600);

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/connectors").await.status == 200
}

/// A browser of this name, signed in.
async fn named(server: &Server, agent: &str) -> Browser {
    let mut browser = server.visitor();
    browser.get("/sign-in").await;
    let form = browser.form("/sign-in", &[("email", ADMINISTRATOR), ("password", PASSWORD)]).header("user-agent", agent);
    assert_eq!(browser.send(form).await.status, 303);
    browser
}

#[tokio::test]
async fn it_ends_twelve_hours_after_it_was_used_and_seven_days_after_it_began() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut idle = server.signed_in().await;
    setup.clock.advance(12 * HOUR - Duration::from_millis(1));
    assert!(is_signed_in(&mut idle.clone()).await);
    setup.clock.advance(12 * HOUR);
    let page = idle.get("/credentials").await;
    assert_eq!(page.location.as_deref(), Some("/sign-in?next=/credentials"));
    idle.get("/sign-in?next=/credentials").await.says("Your session has ended.");
    let mut busy = server.signed_in().await;
    for _ in 0..6 * 4 {
        setup.clock.advance(6 * HOUR);
        assert!(is_signed_in(&mut busy).await);
    }
    setup.clock.advance(11 * HOUR);
    assert!(is_signed_in(&mut busy).await);
    setup.clock.advance(11 * HOUR);
    assert!(is_signed_in(&mut busy).await);
    setup.clock.advance(2 * HOUR);
    assert!(!is_signed_in(&mut busy).await, "seven days are over");
}

#[tokio::test]
async fn a_stolen_cookie_is_worth_nothing_after_the_sign_out() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.signed_in().await;
    let mut thief = browser.clone();
    assert!(is_signed_in(&mut thief).await);
    let page = browser.post("/sign-out", &[]).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/sign-in")));
    assert!(!browser.cookies.contains_key(SESSION));
    assert!(!is_signed_in(&mut thief).await);
    assert_eq!(thief.post("/settings/name", &[("name", "Eve")]).await.status, 303);
    assert!(setup.texts("SELECT name FROM users WHERE name = 'Eve'").await.is_empty());
    assert_eq!(setup.trail("session.sign_out").await, [format!("{ADMINISTRATOR} session.sign_out done ")]);
}

#[tokio::test]
async fn a_planted_cookie_does_not_become_a_session() {
    let setup = Setup::new();
    let server = setup.start().await;
    let planted = "A".repeat(43);
    let mut victim = server.visitor();
    victim.cookies.insert(SESSION.into(), planted.clone());
    assert_eq!(victim.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
    assert_ne!(victim.cookies[SESSION], planted);
    assert!(is_signed_in(&mut victim).await);
    let mut attacker = server.visitor();
    attacker.cookies.insert(SESSION.into(), planted);
    assert!(!is_signed_in(&mut attacker).await);
}

#[tokio::test]
async fn sessions_are_listed_in_words_and_ended_one_by_one_or_all_others() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut first = named(&server, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0").await;
    setup.clock.advance(HOUR);
    let mut second = named(&server, "<script>alert(1)</script>").await;
    let mut third = named(&server, "curl/8.5.0").await;
    let page = first.get("/settings/sessions").await;
    for words in [
        "Firefox on Linux",
        "127.0.0.1",
        "1 h ago",
        "curl",
        "<script>alert(1)</script>",
        "Password",
        "Link",
        "This one",
        "End all others",
    ] {
        page.says(words);
    }
    assert!(page.text.contains("&#60;script&#62;alert(1)") && !page.text.contains("<script>alert"), "{}", page.text);
    assert_eq!(page.text.matches("This one").count(), 1);
    let address_of = |mark: &str| {
        let row = page.text.split("<tr>").find(|row| row.contains(mark)).unwrap();
        row.split_once("action=\"").unwrap().1.split('"').next().unwrap().to_owned()
    };
    let end = address_of("curl");
    // Somebody else's session is none.
    setup.person("ben@example.com", Some(PASSWORD)).await;
    let mut ben = server.visitor();
    assert_eq!(ben.sign_in("ben@example.com", PASSWORD).await.status, 303);
    assert_eq!(ben.post(&end, &[]).await.status, 404);
    assert!(is_signed_in(&mut third).await);
    let ended = first.post(&end, &[]).await;
    assert_eq!(ended.location.as_deref(), Some("/settings/sessions?done=one"));
    first.get("/settings/sessions?done=one").await.says("Session ended.");
    assert!(!is_signed_in(&mut third).await && is_signed_in(&mut second).await);
    assert_eq!(first.post(&end, &[]).await.status, 404);
    let ended = first.post("/settings/sessions/end-others", &[]).await;
    assert_eq!(ended.location.as_deref(), Some("/settings/sessions?done=others"));
    assert!(!is_signed_in(&mut second).await && is_signed_in(&mut first).await && is_signed_in(&mut ben).await);
    first.get("/settings/sessions").await.does_not_say("End all others");
    assert_eq!(setup.trail("session.end").await.len(), 2);
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.signed_in().await;
    assert!(is_signed_in(&mut browser).await);
    // As another instance does it.
    setup.execute("UPDATE users SET state = 'disabled'; UPDATE access_epoch SET value = value + 1").await;
    setup.clock.pass(HOLDS_WITHIN);
    assert!(!is_signed_in(&mut browser).await, "it is still let in");
    assert_eq!(server.visitor().sign_in(ADMINISTRATOR, PASSWORD).await.status, 422);
}

#[tokio::test]
async fn another_password_ends_all_other_sessions_and_this_one_goes_on_under_a_new_id() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (mut browser, mut other) = (server.signed_in().await, server.signed_in().await);
    let mut old = browser.clone();
    for (typed_old, typed_new, words) in [
        ("wrong", NEW_PASSWORD, "This is not your current password."),
        (PASSWORD, "short", "Use at least 12 characters"),
        (PASSWORD, "password1234", "This is easy to guess"),
        (PASSWORD, ADMINISTRATOR, "Choose something other than your email address"),
    ] {
        let page = browser.post("/settings/password", &[("old_password", typed_old), ("new_password", typed_new)]).await;
        assert_eq!(page.status, 422, "{words}");
        page.says(words);
        assert!(!page.text.contains(typed_old) && page.find_value("new_password").as_deref() == Some(""), "{}", page.text);
    }
    assert!(is_signed_in(&mut other).await);
    let page = browser.post("/settings/password", &[("old_password", PASSWORD), ("new_password", NEW_PASSWORD)]).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/settings?done=password")));
    browser.get("/settings?done=password").await.says("Password changed.");
    assert!(!is_signed_in(&mut other).await && !is_signed_in(&mut old).await);
    assert_eq!(server.visitor().sign_in(ADMINISTRATOR, PASSWORD).await.status, 422);
    assert_eq!(server.visitor().sign_in(ADMINISTRATOR, NEW_PASSWORD).await.status, 303);
    let trail = setup.trail("user.change_password").await;
    assert_eq!(trail.len(), 2, "{trail:?}");
}

#[tokio::test]
async fn ones_name_is_changed_and_seen_at_once() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.signed_in().await;
    let page = browser.post("/settings/name", &[("name", "  ")]).await;
    assert_eq!(page.status, 422);
    page.says("Enter a name");
    let page = browser.post("/settings/name", &[("name", "Ana <b>B</b>"), ("role", "viewer"), ("email", "eve@example.com")]).await;
    assert_eq!(page.location.as_deref(), Some("/settings?done=name"));
    let page = browser.get("/settings?done=name").await;
    assert_eq!(page.value("name"), "Ana <b>B</b>");
    assert!(!page.text.contains("<b>B"));
    page.says("Administrator");
    page.says(ADMINISTRATOR);
}

#[tokio::test]
async fn without_a_password_there_is_none_to_change() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.browser_as("cleo@example.com", keytile::domain::users::Role::Viewer).await;
    setup.execute("UPDATE users SET password = NULL WHERE email = 'cleo@example.com'").await;
    let page = browser.get("/settings").await;
    page.says("You sign in with single sign-on");
    page.does_not_say("Change password");
    assert_eq!(browser.get("/settings/second-factor").await.location.as_deref(), Some("/settings"));
    let page = browser.post("/settings/password", &[("old_password", ""), ("new_password", NEW_PASSWORD)]).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/settings")));
    assert!(setup.texts("SELECT password FROM users WHERE email = 'cleo@example.com' AND password IS NOT NULL").await.is_empty());
}

#[tokio::test]
async fn what_was_typed_when_the_session_ran_out_is_there_after_the_sign_in() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.signed_in().await;
    let draft = browser.get(OVERLAY).await.value("draft");
    setup.clock.advance(12 * HOUR);
    let typed = replaced(good_values("Support EU", &draft), &[("description", "typed too late")]);
    let page = browser.post(OVERLAY, &typed).await;
    let location = page.location.unwrap();
    assert_eq!((page.status, location.as_str()), (303, "/sign-in?next=/sources/new/talkdesk/credentials/new"));
    let form = browser.get(&location).await;
    form.says("If you were saving a credential, what you typed is kept");
    let sent = [("email", ADMINISTRATOR), ("password", PASSWORD), ("next", &form.value("next"))];
    let landed = browser.post("/sign-in", &sent).await;
    assert_eq!(landed.location.as_deref(), Some(OVERLAY));
    let overlay = browser.get(OVERLAY).await;
    assert_eq!(overlay.value("name"), "Support EU");
    assert_eq!(overlay.value("account_name"), "acme");
    overlay.says("typed too late");
    overlay.says("Kept from your last try");
    overlay.does_not_say("sandbox-secret\"");
    let draft = overlay.value("draft");
    let saved = browser.post(OVERLAY, &replaced(good_values("Support EU", &draft), &[("client_secret", "")])).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
}

/// A form of a browser, of which all but the end has been sent.
async fn begin(server: &Server, browser: &Browser, path: &str, form: &[(&str, &str)]) -> (Raw, String) {
    let request = browser.with_cookie(browser.form(path, form)).build().unwrap();
    let body = std::str::from_utf8(request.body().unwrap().as_bytes().unwrap()).unwrap().to_owned();
    let (first, rest) = body.split_at(body.len() / 2);
    let lines: String = request.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n{lines}", server.listening);
    let raw =
        Raw::with(server.listening, &format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{first}", body.len())).await;
    (raw, rest.to_owned())
}

#[tokio::test]
async fn what_ends_while_a_form_is_being_sent_is_over() {
    let setup = Setup::new();
    let server = setup.start().await;
    let administrator = Caller::server("test");
    for way in ["sign-out", "disable", "role", "password", "end"] {
        let email = format!("{way}@example.com");
        let mut browser = server.browser_as(&email, Role::Administrator).await;
        let (mut raw, rest) = begin(&server, &browser, "/settings/groups", &[("name", "Eve")]).await;
        // It has been looked at who sends it: another request of the same session is answered meanwhile.
        assert_eq!(browser.get("/settings/groups").await.status, 200);
        let user = server.service.person_of_email(&administrator, &email).await.unwrap().unwrap();
        let service = &server.service;
        match way {
            "sign-out" => assert_eq!(browser.post("/sign-out", &[]).await.status, 303),
            "disable" => assert!(matches!(service.disable_person(&administrator, user.id).await.unwrap(), PersonState::Done)),
            "role" => {
                assert!(matches!(service.set_role(&administrator, &user, "viewer").await.unwrap(), PersonChanged::Changed { .. }))
            }
            "password" => {
                let set = service.set_password_of(&administrator, user.id, &NEW_PASSWORD.into()).await.unwrap();
                assert!(matches!(set, PasswordSet::Done));
            }
            _ => assert!(service.end_sessions_of(&administrator, user.id).await.unwrap()),
        }
        raw.write(&rest).await;
        let answer = raw.rest().await;
        let expected = if way == "role" { "HTTP/1.1 403 " } else { "HTTP/1.1 303 " };
        assert!(answer.starts_with(expected), "{way}: {answer}");
        assert!(way == "role" || answer.contains("location: /sign-in"), "{way}: {answer}");
        assert!(setup.texts("SELECT name FROM user_groups").await.is_empty(), "{way}");
    }
    server.stop().await;
}

#[tokio::test]
async fn whoever_hangs_up_during_a_sign_in_is_recorded_all_the_same() {
    let mut setup = Setup::new();
    // Long enough to hang up in.
    setup.overrides.password_cost = PasswordCost::RECOMMENDED;
    let server = setup.start().await;
    for count in 1..=3 {
        let mut browser = server.visitor();
        browser.get("/sign-in").await;
        let email = format!("nobody{count}@example.com");
        let (mut raw, rest) = begin(&server, &browser, "/sign-in", &[("email", &email), ("password", "wrong")]).await;
        raw.write(&rest).await;
        // The address, and each account.
        until(async || setup.texts("SELECT 'counted' FROM sign_in_limits").await.len() > count).await;
        drop(raw);
        until(async || setup.trail("session.sign_in").await.iter().filter(|event| event.contains(" failed ")).count() == count)
            .await;
    }
    server.stop().await;
}

/// Looks again and again until something is so, which it has to become soon.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    let look = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, look).await.expect("it becomes so");
}

#[tokio::test]
async fn sign_ins_under_way_end_with_the_password_they_were_made_with() {
    let setup = Setup::new();
    let server = setup.start().await;
    let administrator = Caller::server("test");
    let mut ben = server.browser_as("ben@example.com", Role::Viewer).await;
    let user = server.service.person_of_email(&administrator, "ben@example.com").await.unwrap().unwrap();
    let attempts = (0..4).map(|_| async {
        let mut browser = server.visitor();
        browser.sign_in("ben@example.com", PASSWORD).await;
        browser
    });
    let (browsers, reset) =
        tokio::join!(futures_util::future::join_all(attempts), server.service.reset_password(&administrator, user.id));
    assert!(matches!(reset.unwrap(), PasswordReset::Done(_)));
    for mut browser in browsers {
        assert!(!is_signed_in(&mut browser).await, "whenever it got in, it is out now");
    }
    assert!(!is_signed_in(&mut ben).await);
    server.stop().await;
}
