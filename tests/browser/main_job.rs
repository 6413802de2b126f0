//! What Keytile exists for, from the first page to the last, with JavaScript: a credential is added in the
//! overlay, becomes a chosen tile, and a source or a destination is built on it.

use fantoccini::key::Key;

use crate::{
    person::{OVERLAY, Person, TILES},
    support::server::Setup,
};

#[tokio::test]
async fn a_source_is_built_on_a_credential_that_was_added_in_place() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.goto("/").await;
    browser.click("a[href='/sources/new']").await;
    browser.click("a[href='/sources/new/talkdesk/authenticate']").await;
    browser.wait_for("html.scripted #add-credential").await;
    browser.value("window.marked = true").await;

    // The overlay opens over the page, under its own address, and Back closes it.
    browser.click("#add-credential").await;
    person.wait_for_focus("#overlay:modal #f-name").await;
    assert_eq!(person.location().await, OVERLAY);
    assert_eq!(person.title().await, "Add New Credential · New source · Keytile");
    browser.client().back().await.unwrap();
    browser.wait_until("!document.querySelector('#overlay')").await;
    assert_eq!((person.location().await.as_str(), browser.focused().await.as_str()), (TILES, "add-credential"));
    assert_eq!(person.title().await, "Authenticate · New source · Keytile");
    browser.client().execute("history.forward()", Vec::new()).await.unwrap();
    person.wait_for_focus("#overlay:modal #f-name").await;

    // What lies below does nothing.
    const FOCUS_BELOW: &str = "(document.querySelector('#next').focus(), document.activeElement.id)";
    assert_eq!(browser.value(FOCUS_BELOW).await, "f-name");
    const CLICK_BELOW: &str = "(e => document.elementFromPoint(e.left + 2, e.top + 2)?.closest('#authenticate') ?? 'covered')\
                               (document.querySelector('.brand').getBoundingClientRect())";
    assert_eq!(browser.value(CLICK_BELOW).await, "covered");

    // A wrong secret is explained, and nothing is lost.
    person.fill_credential("Support EU", "not-the-secret", "acme").await;
    browser.fill("#f-description", "Calls and agents").await;
    browser.click("#save").await;
    person.wait_for_focus("#f-client_id[aria-invalid='true']").await;
    person.reads("#rejection[role='alert']", "TalkDesk rejected this Client ID or Client Secret").await;
    person.reads("#rejection", "what you typed is kept").await;
    person.reads("#stages", "invalid_client").await;
    assert_eq!(person.title().await, "Error: Add New Credential · New source · Keytile");
    for (field, typed) in [
        ("name", "Support EU"),
        ("description", "Calls and agents"),
        ("client_id", "sandbox-client"),
        ("account_name", "acme"),
        ("client_secret", ""),
    ] {
        assert_eq!(person.field(&format!("#f-{field}")).await, typed, "{field}");
    }
    person.reads("#f-client_secret-kept", "Kept from your last try").await;

    // The right one closes the overlay; the new tile is there, chosen, focused and announced.
    browser.fill("#f-client_secret", "sandbox-secret").await;
    browser.click("#save").await;
    person.wait_for_chosen_tile("Support EU").await;
    person.reads(".tile:has(.tile-radio:checked)", "acme").await;
    person.reads(".tile:has(.tile-radio:checked)", "Verified").await;
    person.wait_for_focus(".tile-radio:checked").await;
    browser
        .wait_until("document.getElementById('announcer').textContent.includes('“Support EU” is verified, saved and selected')")
        .await;
    assert_eq!(browser.value("window.marked").await, true, "the page was loaded anew");
    assert!(person.location().await.starts_with(&format!("{TILES}?credential=")));
    assert_eq!(person.title().await, "Authenticate · New source · Keytile");

    // Configure: Test shows users in a table, in place.
    browser.click("#next").await;
    browser.wait_for("html.scripted #configure").await;
    browser.value("window.marked = true").await;
    browser.fill("#name", "Agents").await;
    browser.click("#test").await;
    person.reads("#preview", "200").await;
    person.reads("#preview table", "Amara Abara").await;
    person.wait_for_focus("#preview-title").await;
    assert_eq!(browser.value("window.marked").await, true, "Test left the page");
    assert_eq!(person.field("#name").await, "Agents");
    browser.click("#create").await;
    person.reads("h1", "Agents").await;
    person.reads("[role='status'].notice", "Data source created.").await;
    person.reads("main", "Support EU").await;
    assert_eq!(person.title().await, "Agents · Keytile");
    browser.click("#preview-button").await;
    person.reads("#preview table", "Amara Abara").await;

    // All of it is found again.
    person.goto("/").await;
    person.reads("main", "Agents").await;
    person.goto(TILES).await;
    person.reads("#tiles", "used by 1").await;
}

#[tokio::test]
async fn a_destination_is_built_in_the_same_way_and_writes_only_when_told() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.goto("/destinations/new").await;
    browser.click("a[href='/destinations/new/talkdesk/authenticate']").await;
    browser.wait_for("html.scripted #add-credential").await;
    browser.click("#add-credential").await;
    person.wait_for_focus("#overlay:modal #f-name").await;
    person.fill_credential("Writer", "sandbox-secret", "acme-sales").await;
    browser.press_key(Key::Enter).await;
    person.wait_for_chosen_tile("Writer").await;
    browser.click("#next").await;

    browser.wait_for("html.scripted #configure").await;
    assert_eq!(person.title().await, "Configure · New destination · Keytile");
    browser.fill("#name", "New contacts").await;
    assert_eq!(browser.value("document.querySelector('input[name=endpoint]:checked').value").await, "Create a contact");
    browser.fill("#body", r#"{"name": "Ana of the test"}"#).await;
    browser.click("#test").await;
    person.reads("#error-summary", "This test writes to the real account").await;
    assert!(person.title().await.starts_with("Error: "));
    assert_eq!(person.field("#body").await, r#"{"name": "Ana of the test"}"#);
    browser.click("#may_write").await;
    browser.click("#test").await;
    person.reads("#preview", "201").await;
    person.reads("#preview table", "Ana of the test").await;

    browser.click("#create").await;
    person.reads("h1", "New contacts").await;
    assert!(person.location().await.starts_with("/destinations/"));
    browser.click("#preview-button").await;
    person.reads("#error-summary", "Select the box first").await;
    browser.click("input[name='may_write']").await;
    browser.click("#preview-button").await;
    person.reads("#preview table", "Keytile test contact").await;

    // Deleting asks in a dialog, which can be left with nothing deleted.
    browser.click("#delete").await;
    person.reads("dialog.confirm:modal", "Delete “New contacts”?").await;
    browser.click("dialog.confirm [data-close]").await;
    person.wait_for_focus("#delete").await;
    assert_eq!(person.count("dialog").await, 0);
    browser.click("#delete").await;
    browser.click("dialog.confirm:modal #confirm-delete").await;
    person.reads("[role='status'].notice", "Data destination deleted.").await;
}
