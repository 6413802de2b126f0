//! Editing a credential in a browser, with JavaScript on and off: the same words, and the same outcome.

use crate::{
    harness::Wanted,
    person::Person,
    support::server::{Setup, good_values},
};

#[tokio::test]
async fn a_credential_is_edited_with_and_without_script() {
    let server = Setup::sandbox().start().await;
    let mut other_window = server.browser();
    for (name, script) in [("With script", true), ("Without script", false)] {
        let wanted = if script { Wanted::default() } else { Wanted::default().without_javascript() };
        let id = other_window.add_credential(name).await;
        let page = format!("/credentials/{id}");
        let edit = format!("{page}/edit");
        let person = Person::with(wanted, &server).await;
        let browser = &person.browser;
        person.goto(&page).await;
        browser.click("#edit").await;
        person.wait_for_path(&edit).await;
        assert_eq!(person.field("#f-account_name").await, "acme");
        assert_eq!(person.field("#f-client_secret").await, "");
        person.reads("#f-client_secret-kept", "Leave empty to keep the stored value").await;
        person.reads("#token-url", "https://acme.talkdeskid.com/oauth/token").await;
        if script {
            browser.assert_accessible().await;
        }

        // Another account: the stored secret is not sent there.
        browser.fill("#f-account_name", "acme-sales").await;
        browser.click("#save").await;
        person.reads("#error-summary[role='alert']", "Enter the Client Secret again").await;
        if script {
            browser.assert_accessible().await;
        }
        // A wrong secret: the stages, the diagnosis, and nothing is lost.
        browser.fill("#f-client_secret", "not-the-secret").await;
        browser.click("#save").await;
        person.reads("#rejection[role='alert']", "TalkDesk rejected this Client ID or Client Secret").await;
        person.reads("#rejection", "Until new values work, the stored ones stay in use.").await;
        person.reads("#stages", "TLS").await;
        assert_eq!(person.field("#f-account_name").await, "acme-sales");
        person.reads("#f-client_secret-kept", "Kept from your last try").await;
        if script {
            browser.assert_accessible().await;
        }
        browser.fill("#f-client_secret", "sandbox-secret").await;
        browser.click("#save").await;
        person.wait_for_path(&page).await;
        person.reads("#edited[role='status']", "Saved and verified.").await;
        person.reads("main", "https://acme-sales.talkdeskid.com/oauth/token").await;

        // A new name needs no verification. In another window somebody was quicker.
        browser.click("#edit").await;
        person.wait_for_path(&edit).await;
        let theirs = other_window.get(&edit).await;
        let (draft, revision) = (theirs.value("draft"), theirs.value("form-revision"));
        let mut quicker = good_values(name, &draft);
        quicker.retain(|(field, _)| !["account_name", "client_secret", "description"].contains(field));
        quicker.extend([("account_name", "acme-sales"), ("description", "By somebody else"), ("form-revision", &revision)]);
        assert_eq!(other_window.post(&edit, &quicker).await.status, 303);
        browser.fill("#f-name", &format!("{name}, renamed")).await;
        browser.click("#save").await;
        person.reads("#outdated[role='alert']", "changed while you were editing").await;
        assert_eq!(person.field("#f-name").await, format!("{name}, renamed"));
        if script {
            browser.assert_accessible().await;
        }
        browser.click("#save").await;
        person.wait_for_path(&page).await;
        person.reads("#edited", "The values are the same").await;
        person.reads("h1", &format!("{name}, renamed")).await;
    }
    server.stop().await;
}
