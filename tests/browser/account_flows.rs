//! What people do with accounts, from the first page to the last, in Chromium, with JavaScript and without: the
//! set-up, passwords and second factors, people and what is shared with them, and sessions that run out.

use std::time::Duration;

use crate::{
    harness::Wanted,
    person::{OVERLAY, Person, TILES},
    support::{
        authenticator::App,
        server::{ADMINISTRATOR, Browser, PASSWORD, Server, Setup},
    },
};

pub(crate) const SCRIPTED: Wanted = Wanted::new();
pub(crate) const PLAIN: Wanted = Wanted::new().without_javascript();

const WRONG: &str = "not my password";

/// Sends the form of the page with the button “Sign out”.
pub(crate) async fn sign_out(person: &Person) {
    person.browser.click(".site-person button").await;
    person.wait_for_title("Sign in · Keytile").await;
}

/// The number of sessions that the page of one's own sessions shows.
async fn sessions(person: &Person) -> u64 {
    person.goto("/settings/sessions").await;
    person.browser.wait_for("main .table").await;
    person.count("main .table tbody tr").await
}

/// The first administrator signs in without a real browser.
async fn signed_in(server: &Server) -> Browser {
    let mut browser = server.visitor();
    browser.get("/sign-in").await;
    let done = browser.post("/sign-in", &[("email", ADMINISTRATOR), ("password", PASSWORD)]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    browser
}

async fn from_set_up_to_recovery_code(wanted: Wanted) {
    let setup = Setup::new();
    let server = setup.start_without_accounts().await;
    let person = Person::stranger(wanted, &server).await;
    let browser = &person.browser;
    // Every page leads to the set-up, and only the link opens its form.
    person.goto("/credentials").await;
    person.wait_for_title("Set up · Keytile").await;
    assert_eq!(person.count("form").await, 0);
    let link = server.setup.as_ref().unwrap();
    browser.goto(link.as_str()).await;
    person.wait_for_focus("#f-email").await;
    browser.fill("#f-email", ADMINISTRATOR).await;
    browser.fill("#f-name", "Ana").await;
    browser.fill("#f-password", PASSWORD).await;
    browser.click("#create").await;
    person.wait_for_title("Data flows · Keytile").await;
    person.reads(".site-person", "Ana").await;
    sign_out(&person).await;
    // The link has done its work.
    browser.goto(link.as_str()).await;
    person.wait_for_title("Sign in · Keytile").await;

    person.goto("/connectors").await;
    person.wait_for_focus("#f-email").await;
    person.sign_in(ADMINISTRATOR, WRONG).await;
    person.reads("[role='alert']", "Sign-in failed. Check your email address and password.").await;
    assert_eq!((person.field("#f-email").await.as_str(), person.field("#f-password").await.as_str()), (ADMINISTRATOR, ""));
    person.wait_for_focus("#f-password").await;
    browser.fill("#f-password", PASSWORD).await;
    browser.click("#sign-in").await;
    person.wait_for_title("Connectors · Keytile").await;

    browser.click(".site-person a").await;
    browser.click("#set-up-factor").await;
    let app = App::with_key(&browser.text("#secret").await);
    browser.fill("#f-code", &app.code(&setup.clock)).await;
    browser.fill("#f-password", PASSWORD).await;
    browser.click("#enable").await;
    person.reads("[role='status']", "Two-step verification is on.").await;
    let recovery = browser.text("#codes code").await;
    browser.click("main .button-primary").await;
    person.reads("#codes-left", "10 recovery codes are left.").await;
    sign_out(&person).await;

    // A code of the app counts once; it waits for the next one.
    setup.clock.advance(Duration::from_secs(60));
    person.goto("/connectors").await;
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    person.wait_for_focus("#f-code").await;
    // The password alone opens nothing.
    person.goto("/credentials").await;
    person.wait_for_title("Enter your code · Keytile").await;
    browser.fill("#f-code", &app.code(&setup.clock)).await;
    browser.click("#sign-in").await;
    person.wait_for_title("Credentials · Keytile").await;
    sign_out(&person).await;
    for (typed, title) in [(recovery.as_str(), "Data flows · Keytile"), (recovery.as_str(), "Error: Enter your code · Keytile")] {
        person.sign_in(ADMINISTRATOR, PASSWORD).await;
        browser.fill("#f-code", typed).await;
        browser.click("#sign-in").await;
        person.wait_for_title(title).await;
        if !title.starts_with("Error") {
            sign_out(&person).await;
        }
    }
}

#[tokio::test]
async fn from_the_set_up_to_a_recovery_code() {
    from_set_up_to_recovery_code(SCRIPTED).await;
}

#[tokio::test]
async fn from_the_set_up_to_a_recovery_code_without_script() {
    from_set_up_to_recovery_code(PLAIN).await;
}

/// A session is ended from another browser.
async fn sessions_are_ended(wanted: Wanted) {
    let server = Setup::new().start().await;
    let mut other = signed_in(&server).await;
    let person = Person::stranger(wanted, &server).await;
    person.goto("/sign-in").await;
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    person.wait_for_title("Data flows · Keytile").await;
    // The one of the set-up, the other one, and this one, which alone has no button.
    assert_eq!(sessions(&person).await, 3);
    assert_eq!(person.count("main .table button").await, 2);
    person.reads("main .table", "This one").await;
    person.browser.click("#end-others").await;
    person.reads("[role='status']", "All your other sessions have ended.").await;
    assert_eq!(sessions(&person).await, 1);
    assert_eq!(other.get("/credentials").await.status, 303);
    assert_eq!(server.browser().get("/credentials").await.status, 303);
    let _third = signed_in(&server).await;
    assert_eq!(sessions(&person).await, 2);
    person.browser.click("main .table button").await;
    person.reads("[role='status']", "Session ended.").await;
    assert_eq!(sessions(&person).await, 1);
}

#[tokio::test]
async fn sessions_are_ended_from_another_browser() {
    sessions_are_ended(SCRIPTED).await;
}

#[tokio::test]
async fn sessions_are_ended_from_another_browser_without_script() {
    sessions_are_ended(PLAIN).await;
}

/// Somebody is added, comes with their link, and may use what is shared with them while it is.
async fn added_and_shared_with(wanted: Wanted) {
    let server = Setup::sandbox().start().await;
    let credential = server.browser().add_credential("Support EU").await;
    let [ana, ben] = Person::two(wanted, &server).await;
    ana.goto("/settings/people").await;
    ana.browser.fill("#f-email", "ben@example.com").await;
    ana.browser.fill("#f-name", "Ben").await;
    ana.browser.click("[name='role'][value='operator']").await;
    ana.browser.click("#add-person").await;
    ana.wait_for_title("Link for Ben · Settings · Keytile").await;
    let link = ana.browser.text("#link").await;

    ben.browser.goto(&link).await;
    ben.wait_for_focus("#f-password").await;
    ben.browser.fill("#f-password", "a kettle full of 3 violins").await;
    ben.browser.click("#choose").await;
    ben.wait_for_title("Data flows · Keytile").await;
    ben.reads(".site-person", "Ben").await;
    // Nothing is shared yet, and an operator adds nothing and administers nothing.
    ben.goto(TILES).await;
    ben.wait_for_title("Authenticate · New source · Keytile").await;
    assert_eq!(ben.count(".tile").await, 0);
    assert_eq!(ben.count("#add-credential, a[href='/audit']").await, 0);
    ben.goto(&format!("/credentials/{credential}")).await;
    ben.wait_for_title("Page not found · Keytile").await;

    ana.goto(&format!("/credentials/{credential}")).await;
    ana.browser.click("#share").await;
    ana.browser.fill("#with", "ben@example.com").await;
    ana.browser.click("#add").await;
    ana.reads("#shares", "Ben").await;
    ben.goto(TILES).await;
    ben.reads(".tile", "Support EU").await;
    ben.goto(&format!("/credentials/{credential}")).await;
    ben.wait_for_title("Support EU · Credentials · Keytile").await;
    assert_eq!(ben.count("#share, #delete, #test, #values-title").await, 0);

    ana.browser.click("#shares .button-danger").await;
    ana.reads("#none-found", "Not shared with anyone yet.").await;
    ben.goto(TILES).await;
    ben.wait_for_title("Authenticate · New source · Keytile").await;
    assert_eq!(ben.count(".tile").await, 0);
    ben.goto(&format!("/credentials/{credential}")).await;
    ben.wait_for_title("Page not found · Keytile").await;
}

#[tokio::test]
async fn somebody_is_added_and_uses_what_is_shared() {
    added_and_shared_with(SCRIPTED).await;
}

#[tokio::test]
async fn somebody_is_added_and_uses_what_is_shared_without_script() {
    added_and_shared_with(PLAIN).await;
}

/// The session runs out while the overlay is filled in.
async fn runs_out_in_the_overlay(wanted: Wanted, in_place: bool) {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let person = Person::with(wanted, &server).await;
    let browser = &person.browser;
    if in_place {
        person.open_overlay_in_place().await;
    } else {
        person.goto(OVERLAY).await;
    }
    person.fill_credential("Support EU", "sandbox-secret", "acme").await;
    browser.fill("#f-description", "Calls and agents").await;
    setup.clock.advance(Duration::from_secs(13 * 3_600));
    browser.click("#save").await;
    person.wait_for_title("Sign in · Keytile").await;
    person.reads("[role='status']", "Your session has ended.").await;
    person.reads("[role='status']", "If you were saving a credential, what you typed is kept").await;
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    person.wait_for_title("Add New Credential · New source · Keytile").await;
    assert_eq!(person.location().await, OVERLAY);
    for (field, typed) in [
        ("name", "Support EU"),
        ("description", "Calls and agents"),
        ("client_id", "sandbox-client"),
        ("account_name", "acme"),
        // It is kept, and not sent to the browser again.
        ("client_secret", ""),
    ] {
        assert_eq!(person.field(&format!("#f-{field}")).await, typed, "{field}");
    }
    person.reads("[data-discard]", "Restored what you typed").await;
    person.reads("#f-client_secret-kept", "Kept from your last try").await;
    browser.click("#save").await;
    person.reads(".tile:has(.tile-radio:checked)", "Support EU").await;
}

#[tokio::test]
async fn what_was_typed_outlives_the_session() {
    runs_out_in_the_overlay(SCRIPTED, true).await;
}

#[tokio::test]
async fn what_was_typed_outlives_the_session_without_script() {
    runs_out_in_the_overlay(PLAIN, false).await;
}

/// Other forms and links of a session that ran out lead to the sign-in too, and from there to their page.
#[tokio::test]
async fn a_page_of_a_session_that_ran_out_leads_to_the_sign_in_and_back() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let credential = server.browser().add_credential("Support EU").await;
    let person = Person::at(&server).await;
    let page = format!("/credentials/{credential}/sharing");
    for click in ["#open-save", ".eyebrow a"] {
        person.goto(&page).await;
        person.browser.wait_for("html.scripted").await;
        setup.clock.advance(Duration::from_secs(13 * 3_600));
        person.browser.click(click).await;
        person.wait_for_title("Sign in · Keytile").await;
        person.sign_in(ADMINISTRATOR, PASSWORD).await;
        person.wait_for_title(if click == "#open-save" { SHARE } else { "Support EU · Credentials · Keytile" }).await;
    }
    // The overlay in place cannot be fetched without a session; it is opened as a page, which leads there.
    person.goto(TILES).await;
    person.browser.wait_for("html.scripted").await;
    setup.clock.advance(Duration::from_secs(13 * 3_600));
    person.browser.click("#add-credential").await;
    person.wait_for_title("Sign in · Keytile").await;
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    person.wait_for_title("Add New Credential · New source · Keytile").await;
}

/// Scripts put no sign-in page in place of a part of another page, and lose nothing that is typed without a word.
#[tokio::test]
async fn scripts_say_that_the_session_has_ended() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let credential = server.browser().add_credential("Support EU").await;
    let person = Person::at(&server).await;
    let browser = &person.browser;

    // While a source is configured.
    person.goto(&format!("/sources/new/talkdesk/configure?credential={credential}")).await;
    browser.wait_for("html.scripted").await;
    browser.fill("#name", "Agents").await;
    setup.clock.advance(Duration::from_secs(13 * 3_600));
    browser.click("#test").await;
    person.reads("#lost[role='alert']", "your session has ended").await;
    assert_eq!(person.field("#name").await, "Agents");
    browser.click("#lost a").await;
    person.wait_for_title("Sign in · Keytile").await;
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    person.wait_for_title("Configure · New source · Keytile").await;

    // While somebody searches.
    person.goto(TILES).await;
    browser.wait_for("html.scripted").await;
    setup.clock.advance(Duration::from_secs(13 * 3_600));
    browser.fill("#q", "support").await;
    person.wait_for_title("Sign in · Keytile").await;
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    person.wait_for_title("Authenticate · New source · Keytile").await;
    assert_eq!(person.field("#q").await, "support");

    // While the overlay is filled in, the session is ended from elsewhere: the form is then sent without a session,
    // and nothing is kept.
    person.open_overlay_in_place().await;
    person.fill_credential("Sales US", "sandbox-secret", "acme").await;
    let ended = signed_in(&server).await.post("/settings/sessions/end-others", &[]).await;
    assert_eq!(ended.status, 303);
    browser.click("#save").await;
    person.reads("#overlay #connection-error[role='alert']", "your session has ended").await;
    assert_eq!(person.field("#f-name").await, "Sales US");
    assert_eq!(browser.text("#save").await, "Save");
}

const SHARE: &str = "Share Support EU · Credentials · Keytile";
