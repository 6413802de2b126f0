//! The overlay in place: what was typed is not lost, Save is sent once, and what happens is said.

use std::time::Duration;

use fantoccini::key::Key;

use crate::{
    harness::Browser,
    person::{OVERLAY, Person, TILES},
    support::{sandbox_apart, server::Setup},
};

#[tokio::test]
async fn stages_appear_as_they_pass_and_save_is_sent_once() {
    let (sandbox, mut setup) = sandbox_apart().await;
    setup.overrides.limits.request = Duration::from_secs(4);
    let server = setup.start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.open_overlay_in_place().await;
    person.fill_credential("Slow desk", "sandbox-secret", "slow").await;
    // Enter twice, without a pause between them.
    let field = browser.wait_for("#f-account_name").await;
    field.send_keys("\u{e007}\u{e007}").await.unwrap();
    browser.wait_until("document.querySelectorAll('#stages .stage-passed').length >= 3").await;
    let stages = browser.text("#stages").await;
    let places: Vec<_> =
        ["Address", "Connection", "TLS", "Asking slow.talkdeskid.com for a token"].map(|word| stages.find(word)).into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{stages}");
    assert_eq!(person.count("#progress[role='status']:not([hidden]) .stage-running").await, 1);

    // While it runs nothing sends it again, and the overlay stays.
    assert_eq!(browser.value("document.getElementById('save').disabled").await, true);
    assert_eq!(browser.value("document.getElementById('f-name').readOnly").await, true);
    browser.client().execute("document.getElementById('credential-form').requestSubmit()", Vec::new()).await.unwrap();
    browser.client().execute("document.getElementById('save').click()", Vec::new()).await.unwrap();
    browser.press_key(Key::Escape).await;
    browser.wait_until("document.querySelector('#overlay .announcer')?.textContent.includes('still verifying')").await;
    assert_eq!(person.count("#overlay:modal").await, 1);

    // The time-out is the service's fault: the same can be tried again.
    person.reads("#rejection", "didn't respond within 4 seconds").await;
    assert_eq!(sandbox.token_requests(), 1);
    assert_eq!(browser.text("#save").await, "Try again");
    assert_eq!(browser.value("document.getElementById('save').disabled").await, false);
    browser.fill("#f-account_name", "acme").await;
    let twice = "(save => (save.click(), save.click(), true))(document.getElementById('save'))";
    assert_eq!(browser.value(twice).await, true);
    person.wait_for_chosen_tile("Slow desk").await;
    assert_eq!(sandbox.token_requests(), 2);
    assert_eq!(person.count(".tile-radio").await, 1);
}

#[tokio::test]
async fn what_was_typed_is_thrown_away_only_on_request() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    // With nothing typed there is nothing to ask.
    person.open_overlay_in_place().await;
    browser.press_key(Key::Escape).await;
    closed(&person).await;
    browser.click("#add-credential").await;
    person.wait_for_focus("#overlay:modal #f-name").await;
    browser.click("#cancel").await;
    closed(&person).await;

    browser.click("#add-credential").await;
    person.wait_for_focus("#overlay:modal #f-name").await;
    browser.fill("#f-name", "Half done").await;
    // Escape, Cancel and Back ask; keeping is the first answer, and Escape means it too.
    for way in 0..3 {
        match way {
            0 => browser.press_key(Key::Escape).await,
            1 => browser.click("#cancel").await,
            _ => browser.client().back().await.unwrap(),
        }
        person.reads("dialog.confirm:modal", "Discard what you typed?").await;
        assert_eq!(browser.text("dialog.confirm :focus").await, "Keep editing");
        match way {
            0 => browser.press_key(Key::Escape).await,
            _ => browser.press_key(Key::Enter).await,
        }
        browser.wait_until("!document.querySelector('dialog.confirm')").await;
        assert_eq!(person.location().await, OVERLAY);
        assert_eq!(person.field("#overlay:modal #f-name").await, "Half done");
        browser.wait_until("document.activeElement.closest('#overlay')").await;
    }

    // A draft that the server keeps is gone after a discard.
    browser.click("#save").await;
    browser.wait_for("#error-summary").await;
    browser.press_key(Key::Escape).await;
    discard(browser).await;
    closed(&person).await;
    browser.click("#add-credential").await;
    person.wait_for_focus("#overlay:modal #f-name").await;
    assert_eq!((person.field("#f-name").await.as_str(), person.count("[data-discard]").await), ("", 0));

    // One that was not thrown away comes back, and can be thrown away in place.
    browser.fill("#f-name", "Comes back").await;
    browser.click("#save").await;
    browser.wait_for("#error-summary").await;
    person.goto(TILES).await;
    browser.wait_for("html.scripted").await;
    browser.click("#add-credential").await;
    person.reads("#overlay [data-discard]", "Restored what you typed").await;
    assert_eq!(person.field("#f-name").await, "Comes back");
    browser.click("#overlay [data-discard] button").await;
    browser.wait_until("document.querySelector('#f-name').value === '' && !document.querySelector('[data-discard]')").await;
    person.wait_for_focus("#f-name").await;

    // Loaded by its address the overlay asks too, and leads to the tiles.
    person.goto(OVERLAY).await;
    person.wait_for_focus("#overlay:modal #f-name").await;
    browser.fill("#f-description", "Typed").await;
    browser.press_key(Key::Escape).await;
    discard(browser).await;
    person.wait_for_path(TILES).await;
}

async fn closed(person: &Person) {
    person.browser.wait_until("!document.querySelector('dialog')").await;
    person.wait_for_path(TILES).await;
    person.wait_for_focus("#add-credential").await;
}

async fn discard(browser: &Browser) {
    browser.click("dialog.confirm button[value='yes']").await;
}

#[tokio::test]
async fn errors_in_place_are_beside_their_fields_and_in_the_summary() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.open_overlay_in_place().await;
    browser.value("window.marked = true").await;
    browser.fill("#f-client_id", "sandbox-client").await;
    browser.fill("#f-account_name", "two words").await;
    browser.click("#save").await;
    person.wait_for_focus("#f-name[aria-invalid='true']").await;
    assert_eq!(browser.value("window.marked").await, true);
    person.reads("#error-summary[role='alert']", "Check 3 fields. Nothing has been sent or saved.").await;
    assert!(person.title().await.starts_with("Error: "));
    for field in ["name", "client_secret", "account_name"] {
        // What describes the field is there, can be seen, and says the same as the summary.
        let described = format!(
            "document.querySelector('#f-{field}[aria-invalid=\"true\"]').getAttribute('aria-describedby').split(' ')\
             .map(id => document.getElementById(id)).every(e => e && e.checkVisibility() && e.innerText.trim())"
        );
        assert_eq!(browser.value(&described).await, true, "{field}");
        let message = browser.text(&format!("#f-{field}-error")).await;
        person.reads("#error-summary", message.trim()).await;
    }
    assert_eq!(person.count("#f-client_id[aria-invalid]").await, 0);
    browser
        .wait_until("document.querySelector('#overlay .announcer')?.textContent.includes('Nothing has been sent or saved')")
        .await;
    browser.click("#error-summary a[href='#f-account_name']").await;
    person.wait_for_focus("#f-account_name").await;
    assert_eq!(person.location().await, OVERLAY);

    // An error in a field that is folded away unfolds it.
    person.fill_credential("Advanced", "sandbox-secret", "acme").await;
    browser.click("details.advanced summary").await;
    browser.fill("#f-api_host", "not a host").await;
    browser.click("details.advanced summary").await;
    browser.click("#save").await;
    person.wait_for_focus("#f-api_host[aria-invalid='true']").await;
    assert_eq!(person.count("details.advanced[open]").await, 1);
    browser.fill("#f-api_host", "").await;
    browser.click("#save").await;
    person.wait_for_chosen_tile("Advanced").await;
    assert_eq!(browser.value("window.marked").await, true);
}

#[tokio::test]
async fn a_lost_connection_loses_nothing() {
    let mut setup = Setup::sandbox();
    let server = setup.start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.open_overlay_in_place().await;
    person.fill_credential("Survives", "sandbox-secret", "acme").await;
    let listen = server.address.socket_addrs(|| None).unwrap()[0];
    server.stop().await;
    browser.click("#save").await;
    person.wait_for_focus("#connection-error[role='alert']").await;
    person.reads("#connection-error", "The request to Keytile didn't complete. What you typed is still here. Try again.").await;
    assert_eq!(person.field("#f-name").await, "Survives");
    assert_eq!(person.field("#f-client_secret").await, "sandbox-secret");
    assert_eq!(browser.value("document.getElementById('save').disabled").await, false);
    assert_eq!(person.count("#progress:not([hidden])").await, 0);
    setup.listen = listen;
    let _server = setup.start().await;
    browser.click("#save").await;
    person.wait_for_chosen_tile("Survives").await;
}

#[tokio::test]
async fn the_token_url_is_built_as_one_types() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.open_overlay_in_place().await;
    person.reads("#token-url", "https://….talkdeskid.com/oauth/token").await;
    browser.fill("#f-account_name", "Acme").await;
    person.reads("#token-url", "https://acme.talkdeskid.com/oauth/token").await;
    browser.click("details.advanced summary").await;
    person.choose("#f-region", "Canada").await;
    person.reads("#token-url", "https://acme.talkdeskidca.com/oauth/token").await;
    person.reads(".affixed:has(#f-account_name)", ".talkdeskidca.com").await;

    // A pasted address says the region too.
    browser.fill("#f-account_name", "https://Acme.talkdeskid.eu/").await;
    browser.press_key(Key::Tab).await;
    browser.wait_until("document.getElementById('f-account_name').value === 'acme'").await;
    assert_eq!(person.field("#f-region").await, "eu");
    person.reads("#token-url", "https://acme.talkdeskid.eu/oauth/token").await;
    person.reads(".affixed:has(#f-account_name)", ".talkdeskid.eu").await;

    // The secret can be looked at while it is typed, and is hidden again before it is sent.
    browser.fill("#f-client_secret", "sandbox-secret").await;
    let shown = "document.getElementById('f-client_secret').type";
    assert_eq!(browser.value(shown).await, "password");
    browser.click("[data-reveal]").await;
    assert_eq!(browser.value(shown).await, "text");
    assert_eq!(browser.text("[data-reveal][aria-pressed='true']").await, "Hide");
    browser.click("[data-reveal]").await;
    assert_eq!(browser.value(shown).await, "password");
    browser.click("[data-reveal]").await;
    browser.click("#save").await;
    browser.wait_for("#error-summary").await;
    assert_eq!(browser.value(shown).await, "password");
}

#[tokio::test]
async fn what_the_probe_found_and_duplicates_are_told_after_saving() {
    let server = Setup::sandbox().start().await;
    server.browser().add_credential_with("First of the account", &[("account_name", "beareronly")]).await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.open_overlay_in_place().await;
    // The sandbox's values come into the form at a click, and the token URL follows.
    browser.click("[data-fill-hints]").await;
    person.wait_for_focus("#f-name").await;
    person.reads("#token-url", "https://acme.talkdeskid.com/oauth/token").await;
    browser.fill("#f-name", "Second of the account").await;
    browser.fill("#f-account_name", "beareronly").await;
    browser.click("#save").await;
    person.wait_for_chosen_tile("Second of the account").await;
    person.reads("#notices .notice-warn", "Bearer").await;
    person.reads("#notices .notice-info", "“First of the account”").await;
}
