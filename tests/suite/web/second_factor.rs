//! Second factors: setting one up, signing in with it, recovery codes, and taking it away.

use std::time::Duration;

use crate::support::{
    authenticator::App,
    server::{ADMINISTRATOR, Browser, PASSWORD, Page, SESSION, Server, Setup},
};

const SET_UP: &str = "/settings/second-factor";
const CHANGE: &str = "/settings/second-factor/change";

/// Tells an authenticator app the key that a page shows.
pub(crate) fn app_of(page: &Page) -> App {
    App::with_key(page.text.split_once("<code id=\"secret\">").unwrap().1.split_once('<').unwrap().0)
}

/// The recovery codes that a page shows.
fn recovery_codes(page: &Page) -> Vec<String> {
    let list = page.text.split_once("id=\"codes\"").unwrap().1;
    let codes: Vec<_> = list.split("<code>").skip(1).map(|part| part.split('<').next().unwrap().to_owned()).collect();
    assert_eq!(codes.len(), 10);
    codes
}

/// Sets up the first administrator's second factor; answers the app, the recovery codes and the browser, which is
/// the one that is still signed in.
async fn enabled(setup: &Setup, server: &Server) -> (App, Vec<String>, Browser) {
    let mut browser = server.signed_in().await;
    let page = browser.get(SET_UP).await;
    let app = app_of(&page);
    let (offer, code) = (page.value("offer"), app.code(&setup.clock));
    let done = browser.post(SET_UP, &[("offer", &offer), ("code", &code), ("password", PASSWORD)]).await;
    assert_eq!(done.status, 200, "{}", done.text);
    setup.clock.advance(Duration::from_secs(60));
    (app, recovery_codes(&done), browser)
}

/// A browser in which the password has been given, and the code is missing.
async fn waiting(server: &Server) -> Browser {
    let mut browser = server.visitor();
    browser.get("/sign-in").await;
    let typed = [("email", ADMINISTRATOR), ("password", PASSWORD), ("next", "/connectors")];
    let page = browser.post("/sign-in", &typed).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/sign-in/code?next=/connectors")));
    browser
}

async fn send(browser: &mut Browser, code: &str) -> Page {
    browser.post("/sign-in/code", &[("code", code), ("next", "/connectors")]).await
}

#[tokio::test]
async fn it_is_set_up_only_with_a_code_of_the_app_and_the_password() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.signed_in().await;
    browser.get("/settings").await.says("Set up two-step verification");
    let page = browser.get(SET_UP).await;
    page.says("<svg role=\"img\" aria-label=\"QR code for an authenticator app\"");
    let (offer, app) = (page.value("offer"), app_of(&page));
    let code = app.code(&setup.clock);
    let typed = |code: &str, password: &str, offer: &str| {
        [("offer", offer.to_owned()), ("code", code.to_owned()), ("password", password.to_owned())]
    };
    let refs = |form: &[(&'static str, String); 3]| -> Vec<(&'static str, String)> { form.to_vec() };
    for (form, words) in [
        (typed("000000", PASSWORD, &offer), "This isn't the current code for this key."),
        (typed(&code, "wrong", &offer), "This is not your current password."),
    ] {
        let form = refs(&form);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = browser.post(SET_UP, &form).await;
        assert_eq!(page.status, 422);
        page.says(words);
        assert_eq!(app_of(&page).0, app.0, "the app need not scan again");
    }
    assert!(setup.texts("SELECT hex(second_factor) FROM users WHERE second_factor IS NOT NULL").await.is_empty());
    // What was offered in one session is nothing in another.
    let mut other = server.signed_in().await;
    let page = other.post(SET_UP, &[("offer", &offer), ("code", &code), ("password", PASSWORD)]).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some(SET_UP)));
    let page = browser.post(SET_UP, &[("offer", &offer), ("code", &code), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let codes = recovery_codes(&page);
    browser.get("/settings").await.says("10 recovery codes are left.");
    assert_eq!(browser.get(SET_UP).await.location.as_deref(), Some("/settings"));
    // Neither the secret nor a recovery code can be read in the database.
    let sealed = setup.texts("SELECT hex(second_factor) FROM users WHERE second_factor IS NOT NULL").await;
    let hex: String = app.0.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(sealed.len() == 1 && !sealed[0].contains(&hex));
    server.stop().await;
    for entry in std::fs::read_dir(setup.data_dir()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for code in &codes {
            let plain = code.replace('-', "");
            assert!(!bytes.windows(code.len()).any(|window| window == code.as_bytes()));
            assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()));
        }
    }
}

#[tokio::test]
async fn turning_it_on_ends_all_other_sessions_and_this_one_goes_on_under_a_new_id() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (mut browser, mut elsewhere) = (server.signed_in().await, server.signed_in().await);
    let page = browser.get(SET_UP).await;
    let (offer, code) = (page.value("offer"), app_of(&page).code(&setup.clock));
    let mut before = browser.clone();
    let page = browser.post(SET_UP, &[("offer", &offer), ("code", &code), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert_ne!(before.cookies[SESSION], browser.cookies[SESSION]);
    for ended in [&mut before, &mut elsewhere] {
        assert_eq!(ended.get("/credentials").await.location.as_deref(), Some("/sign-in?next=/credentials"));
    }
    // The forms of the page with the codes are of the new session.
    assert_eq!(page.value("form_token"), browser.form_token());
    assert_eq!(browser.get("/credentials").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn where_it_is_required_nothing_else_opens_before_it_is_set_up() {
    let setup = Setup::new().with("--require-second-factor");
    let server = setup.start().await;
    let mut browser = server.signed_in().await;
    for path in ["/", "/credentials", "/settings", "/settings/sessions", "/audit", "/sources/new/talkdesk/authenticate"] {
        let page = browser.get(path).await;
        assert_eq!((page.status, page.location.as_deref()), (303, Some(SET_UP)), "{path}");
    }
    let people = setup.texts("SELECT name FROM users").await;
    for (path, form) in [("/settings/name", [("name", "Eve")]), ("/settings/groups", [("name", "Eve")])] {
        let page = browser.post(path, &form).await;
        assert_eq!((page.status, page.location.as_deref()), (303, Some(SET_UP)), "{path}");
    }
    assert_eq!(setup.texts("SELECT name FROM users").await, people);
    assert!(setup.texts("SELECT name FROM user_groups").await.is_empty());
    browser.get(SET_UP).await.says("Two-step verification is required.");
    let (app, _, _) = enabled(&setup, &server).await;
    // The session that the factor was not set up in has ended; with the code one gets everywhere.
    assert_eq!(browser.get("/credentials").await.location.as_deref(), Some("/sign-in?next=/credentials"));
    let mut browser = waiting(&server).await;
    assert_eq!(send(&mut browser, &app.code(&setup.clock)).await.status, 303);
    assert_eq!(browser.get("/credentials").await.status, 200);
    // Who takes it away has to set up another one, at the other instance too.
    let beside = setup.start_beside(&server).await;
    let mut there = browser.moved_to(&beside);
    assert_eq!(there.get("/credentials").await.status, 200);
    setup.clock.advance(Duration::from_secs(60));
    let taken = [("what", "remove"), ("password", PASSWORD), ("code", &*app.code(&setup.clock))];
    assert_eq!(browser.post(CHANGE, &taken).await.status, 303);
    assert_eq!(browser.get("/credentials").await.location.as_deref(), Some(SET_UP));
    server.stop().await;
    beside.stop().await;
}

#[tokio::test]
async fn after_the_password_the_code_and_nothing_else_opens() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, _, _) = enabled(&setup, &server).await;
    let mut browser = waiting(&server).await;
    let before = browser.clone();
    let page = browser.get("/credentials").await;
    assert_eq!(page.location.as_deref(), Some("/sign-in/code?next=/credentials"));
    assert_eq!(browser.post("/settings/name", &[("name", "Eve")]).await.status, 303);
    assert!(setup.texts("SELECT name FROM users WHERE name = 'Eve'").await.is_empty());
    browser.get("/sign-in/code").await.says(ADMINISTRATOR);
    let page = send(&mut browser, "000000").await;
    assert_eq!(page.status, 422);
    page.says("This code is incorrect or already used.");
    assert_eq!(send(&mut browser, " ").await.status, 422);
    let page = send(&mut browser, &app.code(&setup.clock)).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/connectors")));
    assert_eq!(browser.get("/connectors").await.status, 200);
    // The cookie from before the code is worth nothing: neither is it signed in, nor may it try codes.
    let mut before = before;
    assert_eq!(before.get("/connectors").await.location.as_deref(), Some("/sign-in?next=/connectors"));
    assert_eq!(send(&mut before, &app.code(&setup.clock)).await.location.as_deref(), Some("/sign-in?next=/connectors"));
    assert_eq!(browser.get("/sign-in/code?next=//evil.example").await.location.as_deref(), Some("/"));
}

#[tokio::test]
async fn the_code_has_ten_minutes() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, _, _) = enabled(&setup, &server).await;
    let mut browser = waiting(&server).await;
    setup.clock.advance(Duration::from_secs(600));
    let page = send(&mut browser, &app.code(&setup.clock)).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/sign-in?next=/connectors")));
    assert_eq!(browser.get("/connectors").await.status, 303);
}

#[tokio::test]
async fn no_code_is_good_twice_at_whatever_instance() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, codes, _) = enabled(&setup, &server).await;
    let beside = setup.start_beside(&server).await;
    for code in [app.code(&setup.clock), codes[0].clone()] {
        let (mut one, mut other) = (waiting(&server).await, waiting(&beside).await);
        let (of_one, of_other) = tokio::join!(send(&mut one, &code), send(&mut other, &code));
        let mut ended = [of_one.status, of_other.status];
        ended.sort_unstable();
        assert_eq!(ended, [303, 422], "{code}");
        let mut third = waiting(&server).await;
        assert_eq!(send(&mut third, &code).await.status, 422, "{code}");
    }
    // A recovery code is taken as people write it, and the next one still works.
    let mut browser = waiting(&server).await;
    let typed = codes[1].to_uppercase().replace('-', " ");
    assert_eq!(send(&mut browser, &typed).await.status, 303);
    browser.get("/settings").await.says("8 recovery codes are left.");
    let trail = setup.trail("session.second_factor").await;
    let with = |words: &str| trail.iter().filter(|line| line.ends_with(words)).count();
    assert_eq!((with("done with a code"), with("done with a recovery code")), (1, 2), "{trail:?}");
}

#[tokio::test]
async fn codes_have_a_limit_of_their_own() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, _, _) = enabled(&setup, &server).await;
    let mut browser = waiting(&server).await;
    for _ in 0..5 {
        assert_eq!(send(&mut browser, "000000").await.status, 422);
    }
    // A new session with the right password does not begin anew.
    for browser in [&mut browser, &mut waiting(&server).await] {
        let page = send(browser, &app.code(&setup.clock)).await;
        assert_eq!((page.status, page.headers["retry-after"].to_str().unwrap()), (429, "1"));
        page.says("Too many wrong codes. Try again in 1 second.");
    }
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(send(&mut browser, "000000").await.status, 422);
    assert_eq!(send(&mut browser, &app.code(&setup.clock)).await.headers["retry-after"], "2");
    setup.clock.advance(Duration::from_secs(2));
    assert_eq!(send(&mut browser, &app.code(&setup.clock)).await.status, 303);
    let trail = setup.trail("session.limited").await;
    assert_eq!(trail.len(), 2, "{trail:?}");
    assert!(trail[0].ends_with("codes of this account: 5 failures, 1 s"), "{trail:?}");
}

#[tokio::test]
async fn who_knows_the_password_does_not_keep_out_a_browser_that_has_signed_in_before() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, _, _) = enabled(&setup, &server).await;
    let mut known = waiting(&server).await;
    assert_eq!(send(&mut known, &app.code(&setup.clock)).await.status, 303);
    known.post("/sign-out", &[]).await;
    setup.clock.advance(Duration::from_secs(60));
    let mut stranger = waiting(&server).await;
    for _ in 0..5 {
        assert_eq!(send(&mut stranger, "000000").await.status, 422);
    }
    assert_eq!(send(&mut stranger, "000000").await.status, 429);
    assert_eq!(known.sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
    assert_eq!(send(&mut known, &app.code(&setup.clock)).await.status, 303);
}

#[tokio::test]
async fn recovery_codes_are_renewed_and_those_before_are_void() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, old, mut browser) = enabled(&setup, &server).await;
    let page = browser.post(CHANGE, &[("what", "renew"), ("password", PASSWORD), ("code", &app.code(&setup.clock))]).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let new = recovery_codes(&page);
    let mut browser = waiting(&server).await;
    assert_eq!(send(&mut browser, &old[0]).await.status, 422);
    assert_eq!(send(&mut browser, &new[0]).await.status, 303);
}

#[tokio::test]
async fn it_is_taken_away_with_the_password_and_a_code_only() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, codes, mut browser) = enabled(&setup, &server).await;
    let code = app.code(&setup.clock);
    for (what, password, code, words) in [
        ("remove", "wrong", code.as_str(), "This is not your current password."),
        ("renew", PASSWORD, "000000", "This code is incorrect or has already been used."),
        ("remove", PASSWORD, "", "This code is incorrect or has already been used."),
    ] {
        let page = browser.post(CHANGE, &[("what", what), ("password", password), ("code", code)]).await;
        assert_eq!(page.status, 422);
        page.says(words);
    }
    assert_eq!(browser.post(CHANGE, &[("what", "other"), ("password", PASSWORD), ("code", &code)]).await.status, 400);
    // A recovery code does as well: the phone may be what is gone.
    let page = browser.post(CHANGE, &[("what", "remove"), ("password", PASSWORD), ("code", &codes[3])]).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/settings?done=second-factor-off")));
    browser.get("/settings?done=second-factor-off").await.says("Two-step verification is off.");
    assert!(setup.texts("SELECT hex(hash) FROM recovery_codes").await.is_empty());
    assert_eq!(server.visitor().sign_in(ADMINISTRATOR, PASSWORD).await.location.as_deref(), Some("/"));
    assert_eq!(setup.trail("user.disable_second_factor").await.len(), 3, "two failures and the deed");
    assert!(browser.cookies.contains_key(SESSION));
}

#[tokio::test]
async fn whoever_finds_a_browser_open_may_not_try_passwords_in_it() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (app, _, mut browser) = enabled(&setup, &server).await;
    for _ in 0..5 {
        let page =
            browser.post("/settings/password", &[("old_password", "wrong"), ("new_password", "tulip gravel anchor 9")]).await;
        assert_eq!(page.status, 422);
        page.says("This is not your current password.");
    }
    let code = app.code(&setup.clock);
    for (path, form) in [
        ("/settings/password", [("old_password", PASSWORD), ("new_password", "tulip gravel anchor 9"), ("x", "")]),
        (CHANGE, [("what", "remove"), ("password", PASSWORD), ("code", code.as_str())]),
    ] {
        let page = browser.post(path, &form).await;
        assert_eq!((page.status, page.headers["retry-after"].to_str().unwrap()), (429, "1"), "{path}");
        page.says("Too many failed attempts. Try again in 1 second.");
    }
    // It does not keep the owner from signing in elsewhere.
    assert_eq!(server.visitor().sign_in(ADMINISTRATOR, PASSWORD).await.status, 303);
}
