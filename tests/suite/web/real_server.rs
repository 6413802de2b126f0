//! Save against `oidc-provider`, an OAuth2 server that nobody here wrote, under a pinned TalkDesk name.

use std::time::Duration;

use crate::support::{
    https::pem,
    oidc_provider::{BODY_CLIENT, HEADER_CLIENT, OidcProvider},
    server::{Browser, OVERLAY, Setup, credential_in, good_values, replaced},
};

const HOST: &str = "acme.talkdeskid.com";
const GENERIC: &str = "/destinations/new/oauth2-client-credentials/credentials/new";

/// A Keytile for which the TalkDesk account `acme` is the provider. Its API is a closed port: there is none.
fn setup(provider: &OidcProvider) -> Setup {
    let setup = Setup::new();
    let authority = setup.folder.path().join("authority.pem");
    std::fs::write(&authority, pem(&provider.authority())).unwrap();
    setup
        .with(format!("--egress-pin={HOST}={}", provider.address()))
        .with("--egress-pin=api.talkdeskapp.com=127.0.0.1:1")
        .with(format!("--extra-ca={}", authority.display()))
}

async fn generic(browser: &mut Browser, name: &str, values: &[(&str, &str)]) -> crate::support::server::Page {
    let draft = browser.get(GENERIC).await.value("draft");
    let form = [
        ("draft", draft.as_str()),
        ("name", name),
        ("description", ""),
        ("token_url", "https://acme.talkdeskid.com/oauth/token"),
        ("api_base_url", "https://api.talkdeskapp.com"),
        ("scopes", ""),
        ("authorization_prefix", "Bearer"),
    ];
    browser.post(GENERIC, &[&form[..], values].concat()).await
}

#[tokio::test]
async fn a_client_that_uses_the_header_is_saved() {
    let provider = OidcProvider::start(&[HOST], Duration::from_secs(600)).await;
    let server = setup(&provider).start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let values = [("client_id", HEADER_CLIENT.id), ("client_secret", HEADER_CLIENT.secret), ("scopes", "users:read")];
    let saved = browser.post(OVERLAY, &replaced(good_values("Header", &draft), &values)).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    // Tested again, with the values that were sealed.
    let id = credential_in(&saved.location.unwrap());
    assert_eq!(browser.post(&format!("/credentials/{id}/test"), &[]).await.status, 303);
    browser.get("/credentials").await.says("Verified");
    let draft = browser.get(OVERLAY).await.value("draft");
    let values = [("client_id", HEADER_CLIENT.id), ("client_secret", "wrong +/ &")];
    let rejected = browser.post(OVERLAY, &replaced(good_values("Wrong", &draft), &values)).await;
    assert_eq!(rejected.status, 422);
    rejected.says("TalkDesk rejected this Client ID or Client Secret");
    rejected.does_not_say("wrong +/ &");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_uses_the_body_is_saved() {
    let provider = OidcProvider::start(&[HOST], Duration::from_secs(600)).await;
    let server = setup(&provider).start().await;
    let mut browser = server.browser();
    let body = [
        ("client_id", BODY_CLIENT.id),
        ("client_secret", BODY_CLIENT.secret),
        ("client_authentication", "body"),
        ("basic_encoding", "form"),
    ];
    assert_eq!(generic(&mut browser, "Body", &body).await.status, 303);
    let header = [
        ("client_id", HEADER_CLIENT.id),
        ("client_secret", HEADER_CLIENT.secret),
        ("client_authentication", "basic"),
        ("basic_encoding", "form"),
    ];
    assert_eq!(generic(&mut browser, "Header", &header).await.status, 303);
    // This server form-decodes: as they are, the values of the same client are refused.
    let raw = header.map(|(field, value)| if field == "basic_encoding" { (field, "raw") } else { (field, value) });
    let refused = generic(&mut browser, "Raw", &raw).await;
    assert_eq!(refused.status, 422);
    refused.says("Nothing was saved");
    server.stop().await;
}
