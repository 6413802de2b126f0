//! The same job with JavaScript off: every step is a page, and says no less.

use crate::{
    harness::Wanted,
    person::{OVERLAY, Person, TILES},
    support::server::Setup,
};

#[tokio::test]
async fn the_whole_job_is_done_without_script() {
    let server = Setup::sandbox().start().await;
    let person = Person::with(Wanted::default().without_javascript(), &server).await;
    let browser = &person.browser;
    person.goto("/").await;
    browser.click("a[href='/sources/new']").await;
    browser.click("a[href='/sources/new/talkdesk/authenticate']").await;
    browser.click("#next").await;
    person.reads("#choice-error[role='alert']", "Choose a credential").await;
    assert_eq!(person.title().await, "Error: Authenticate · New source · Keytile");

    // The overlay is a page of its own address. Nothing that needs script is offered.
    browser.click("#add-credential").await;
    person.wait_for_path(OVERLAY).await;
    assert_eq!(person.count("[data-scripted]:not([hidden])").await, 0);
    person.reads("#token-url", "https://….talkdeskid.com/oauth/token").await;
    browser.fill("#f-client_id", "sandbox-client").await;
    browser.fill("#f-client_secret", "not-the-secret").await;
    browser.fill("#f-account_name", "no label").await;
    browser.click("#save").await;
    person.wait_for_title("Error: Add New Credential · New source · Keytile").await;
    person.reads("#error-summary[role='alert']", "Check 2 fields.").await;
    person.wait_for_focus("#error-summary").await;
    browser.click("#error-summary a[href='#f-account_name']").await;
    person.wait_for_focus("#f-account_name").await;
    browser.click("#error-summary a[href='#f-name']").await;
    person.wait_for_focus("#f-name").await;
    assert_eq!(person.field("#f-client_id").await, "sandbox-client");
    person.reads("#f-client_secret-kept", "Kept from your last try").await;

    // The kept secret is the wrong one.
    browser.fill("#f-name", "Support EU").await;
    browser.fill("#f-account_name", "acme").await;
    browser.click("#save").await;
    person.reads("#rejection[role='alert']", "TalkDesk rejected this Client ID or Client Secret").await;
    person.wait_for_focus("#rejection").await;
    person.reads("#stages", "TLS").await;
    person.reads("#stages", "invalid_client").await;
    person.reads("#token-url", "https://acme.talkdeskid.com/oauth/token").await;
    assert_eq!(person.count("[aria-invalid='true']").await, 2);

    // A kept secret that is right is used, after an error elsewhere.
    browser.fill("#f-client_secret", "sandbox-secret").await;
    browser.fill("#f-name", "").await;
    browser.click("#save").await;
    person.reads("#error-summary", "Check 1 field.").await;
    browser.fill("#f-name", "Support EU").await;
    browser.click("#save").await;
    person.reads("#saved-notice[role='status']", "“Support EU” is verified, saved and selected").await;
    person.reads(".tile:has(.tile-radio:checked)", "Support EU").await;

    browser.click("#next").await;
    browser.fill("#name", "Agents").await;
    browser.click("#test").await;
    person.reads("#preview table", "Amara Abara").await;
    assert_eq!(person.field("#name").await, "Agents");
    let parameters = person.count("input[name='query_name']").await;
    browser.click("button[value='add-parameter']").await;
    browser.wait_until(&format!("document.querySelectorAll(\"input[name='query_name']\").length === {}", parameters + 1)).await;
    browser.click("#create").await;
    person.reads("h1", "Agents").await;
    browser.click("#preview-button").await;
    person.reads("#preview table", "Amara Abara").await;
    let source = browser.value("location.pathname.replace('/preview', '')").await;
    let source = source.as_str().unwrap();

    // Deleting asks first.
    browser.click("#delete").await;
    person.wait_for_path(&format!("{source}/delete")).await;
    person.reads("h1", "Delete “Agents”?").await;
    browser.click("[data-close]").await;
    person.reads("h1", "Agents").await;
    browser.click("#delete").await;
    browser.click("#confirm-delete").await;
    person.reads("main", "Data source deleted.").await;
    person.goto(source).await;
    assert!(person.title().await.contains("not"), "{}", person.title().await);
}

#[tokio::test]
async fn a_destination_writes_only_when_told_without_script() {
    let server = Setup::sandbox().start().await;
    let credential = server.browser().add_credential("Writer").await;
    let person = Person::with(Wanted::default().without_javascript(), &server).await;
    let browser = &person.browser;
    person.goto("/destinations/new/talkdesk/authenticate").await;
    browser.click(&format!(".tile:has([value='{credential}'])")).await;
    browser.click("#next").await;
    browser.fill("#name", "New contacts").await;
    browser.click("#test").await;
    person.reads("#error-summary", "This test writes to the real account").await;
    browser.click("#may_write").await;
    browser.click("#test").await;
    person.reads("#preview", "201").await;
    browser.click("#create").await;
    person.reads("h1", "New contacts").await;
}

#[tokio::test]
async fn search_and_discard_work_by_submitting() {
    let server = Setup::sandbox().start().await;
    let mut seeding = server.browser();
    seeding.add_credential("Support EU").await;
    seeding.add_credential("Sales US").await;
    let person = Person::with(Wanted::default().without_javascript(), &server).await;
    let browser = &person.browser;
    person.goto(TILES).await;
    browser.fill("#q", "sales").await;
    browser.click(".search-button").await;
    person.reads("#tiles", "Sales US").await;
    browser.wait_until("document.querySelectorAll('.tile-radio').length === 1").await;
    assert_eq!(person.field("#q").await, "sales");

    // What was typed comes back until it is thrown away.
    person.goto(OVERLAY).await;
    browser.fill("#f-name", "Half done").await;
    browser.click("#save").await;
    browser.wait_for("#error-summary").await;
    browser.click("#cancel").await;
    person.wait_for_path(TILES).await;
    person.goto(OVERLAY).await;
    person.reads("[data-discard]", "Restored what you typed").await;
    assert_eq!(person.field("#f-name").await, "Half done");
    browser.click("[data-discard] button").await;
    browser.wait_until("document.querySelector('#f-name')?.value === '' && !document.querySelector('[data-discard]')").await;
}

#[tokio::test]
async fn a_form_that_is_sent_twice_without_script_saves_one_credential() {
    let server = Setup::sandbox().start().await;
    let person = Person::with(Wanted::default().without_javascript(), &server).await;
    let browser = &person.browser;
    person.goto(OVERLAY).await;
    person.fill_credential("Only once", "sandbox-secret", "acme").await;
    // Both clicks reach the page before it is left; the browser sends the form for each of them.
    browser.value("(b => (b.click(), b.click()))(document.getElementById('save'))").await;
    browser.wait_for("#saved-notice").await;
    person.goto("/credentials").await;
    assert_eq!(person.count("#tiles > .tile").await, 1);
}
