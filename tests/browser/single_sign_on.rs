//! The way to a provider of single sign-on and back, in Chromium: `oidc-provider` from npm, which nobody here wrote, on
//! another site.

use std::net::TcpListener;

use keytile::domain::users::Role;
use serde_json::json;

use crate::{
    account_flows::{PLAIN, SCRIPTED, sign_out},
    harness::Wanted,
    person::Person,
    support::{
        https::pem,
        oidc_provider::{OidcProvider, SIGN_IN_CLIENT, SignIn},
        server::{SESSION, Setup},
    },
};

/// The host of the provider of single sign-on.
const PROVIDER: &str = "id.example.test";

/// To the provider and back: the cookies of Keytile come along although another site leads there, by a redirect
/// that follows from a form of the other site.
async fn comes_from_a_provider(wanted: Wanted) {
    // Keytile has to know its provider, and the provider the address of Keytile: so that is chosen first.
    let listen = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let provider = OidcProvider::start_with_sign_in(
        &[PROVIDER],
        SignIn {
            clients: vec![SIGN_IN_CLIENT],
            redirects: vec![format!("http://{listen}/sign-in/sso/callback")],
            accounts: json!({ "ada": { "email": "ada@example.test", "email_verified": true, "name": "Ada Lovelace" } }),
            claims_in_id_token: false,
            algorithm: "ES256",
        },
    )
    .await;
    let mut setup = Setup::new();
    setup.listen = listen;
    let file = |name: &str, text: &str| {
        let path = setup.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    setup.arguments = vec![
        format!("--egress-pin={PROVIDER}={}", provider.address()),
        format!("--extra-ca={}", file("ca.pem", &pem(&provider.authority()))),
        format!("--sso-issuer=https://{PROVIDER}"),
        format!("--sso-client-id={}", SIGN_IN_CLIENT.id),
        format!("--sso-client-secret-file={}", file("secret", SIGN_IN_CLIENT.secret)),
        format!("--sso-default-role={}", Role::Viewer.as_str()),
        "--sso-name=Example ID".to_owned(),
    ];
    let server = setup.start().await;
    let person = Person::stranger(wanted.with_host(PROVIDER, provider.address()), &server).await;
    let browser = &person.browser;
    person.goto("/connectors").await;
    person.reads("#single-sign-on", "Sign in with Example ID").await;
    browser.click("#single-sign-on").await;
    person.wait_for_title("Sign in at the provider").await;
    browser.fill("[name='account']", "ada").await;
    browser.click("#go").await;
    person.wait_for_title("Connectors · Keytile").await;
    person.reads(".site-person", "Ada Lovelace").await;
    let cookies = browser.client().get_all_cookies().await.unwrap();
    let session = cookies.iter().find(|cookie| cookie.name() == SESSION).unwrap();
    assert_eq!((session.http_only(), session.same_site().map(|site| site.to_string())), (Some(true), Some("Lax".to_owned())));
    sign_out(&person).await;

    // Signing out here is not signing out there: the button is enough to come in again.
    browser.click("#single-sign-on").await;
    person.wait_for_title("Data flows · Keytile").await;
}

#[tokio::test]
async fn somebody_comes_from_a_provider_of_single_sign_on() {
    comes_from_a_provider(SCRIPTED).await;
}

#[tokio::test]
async fn somebody_comes_from_a_provider_of_single_sign_on_without_script() {
    comes_from_a_provider(PLAIN).await;
}
