//! Which account somebody gets: a new one, the one of before, that of a verified address, or none.

use keytile::domain::users::Role;

use super::*;

const VIEWERS: &[&str] = &["--sso-default-role=viewer"];

#[tokio::test]
async fn the_first_sign_in_makes_the_account_and_the_second_finds_it() {
    let site = Site::start(people(&["staff"]), &["--sso-role=staff=editor"]).await;
    let mut browser = site.browser_of("ada").await;
    let page = browser.get("/").await;
    page.says("Ada Lovelace");
    assert_eq!(site.accounts().await, ["ada@example.test|Ada Lovelace|editor", "ana@example.com|Ana|administrator"]);
    assert_eq!(site.rows("SELECT issuer || '|' || subject FROM identities").await, ["https://id.example.test|ada"]);
    let without_password: Vec<i64> = {
        let options = SqliteConnectOptions::new().filename(site.setup.data_dir().join("keytile.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let count = "SELECT COUNT(*) FROM users WHERE password IS NULL AND email_key = 'ada@example.test'";
        sqlx::query_scalar(count).fetch_all(&mut connection).await.unwrap()
    };
    assert_eq!(without_password, [1]);

    let again = site.browser_of("ada").await;
    assert!(site.is_signed_in(&again).await && site.is_signed_in(&browser).await);
    assert_eq!(site.accounts().await.len(), 2);
    let events = site.events().await;
    let ada = "ada@example.test|ada@example.test";
    assert_eq!(
        events,
        [
            format!("user.add|done|{ada}|by single sign-on as editor, email address verified: ada at https://id.example.test"),
            format!("session.sign_in|done|{ada}|with single sign-on"),
            format!("session.sign_in|done|{ada}|with single sign-on"),
        ]
    );
    site.server.stop().await;
}

#[tokio::test]
async fn an_account_is_linked_by_its_address_only_if_that_was_verified() {
    let site = Site::start(people(&[]), VIEWERS).await;
    // Entering the address of the administrator at the provider doesn't help.
    let mut browser = site.server.visitor();
    let refused = site.sign_in(&mut browser, "mallory").await;
    assert_eq!(refused.status, 403);
    refused.says("doesn't confirm that the address is yours");
    assert!(!site.is_signed_in(&browser).await);
    assert!(site.rows("SELECT subject FROM identities").await.is_empty());

    // The administrator comes, and is who they were; without rules for roles, the role stays.
    let mut browser = site.browser_of("ana").await;
    assert_eq!(browser.get("/settings/people").await.status, 200);
    assert_eq!(site.accounts().await, ["ana@example.com|Ana of the provider|administrator"]);

    // Somebody else of the same address is not: there is an identity of this issuer already.
    let mut browser = site.server.visitor();
    let refused = site.sign_in(&mut browser, "ana2").await;
    assert_eq!(refused.status, 403);
    refused.says("is linked to another identity at the identity provider");
    assert!(!site.is_signed_in(&browser).await);
    assert_eq!(site.rows("SELECT subject FROM identities").await, ["ana"]);

    let events = site.events().await;
    assert_eq!(
        events,
        [
            "session.sign_in|refused|||single sign-on: the provider has not verified the email address of an account: mallory at https://id.example.test",
            "user.link_identity|done|ana@example.com|ana@example.com|by verified email address: ana at https://id.example.test",
            "user.change|done|ana@example.com|ana@example.com|by single sign-on: name",
            "session.sign_in|done|ana@example.com|ana@example.com|with single sign-on",
            "session.sign_in|refused|ana@example.com|ana@example.com|single sign-on: the account with this email address is linked to another identity at the provider: ana2 at https://id.example.test",
        ]
    );
    site.server.stop().await;
}

#[tokio::test]
async fn an_address_that_only_counts_as_the_same_is_of_somebody_else() {
    let verified = json!({"eve": {"email": "root@straße.example", "email_verified": true, "name": "Eve"}});
    let site = Site::start(verified, VIEWERS).await;
    site.server.browser_as("root@strasse.example", Role::Editor).await;
    let mut browser = site.server.visitor();
    let refused = site.sign_in(&mut browser, "eve").await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert!(!site.is_signed_in(&browser).await);
    assert!(site.rows("SELECT subject FROM identities").await.is_empty());
    site.server.stop().await;
}

#[tokio::test]
async fn whoever_has_no_verified_address_gets_an_account_of_their_own_and_whoever_has_none_gets_none() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let bob = site.browser_of("bob").await;
    assert!(site.is_signed_in(&bob).await);
    assert_eq!(site.accounts().await[1], "bob@example.test|Bob|viewer");
    assert!(site.events().await[0].contains("email address not verified"));

    let mut browser = site.server.visitor();
    let refused = site.sign_in(&mut browser, "nobody").await;
    assert_eq!(refused.status, 403);
    refused.says("didn't send an email address that Keytile can use");
    assert_eq!(site.accounts().await.len(), 2);
    site.server.stop().await;
}

#[tokio::test]
async fn a_disabled_account_stays_out() {
    let site = Site::start(people(&[]), VIEWERS).await;
    let browser = site.browser_of("ada").await;
    site.execute("UPDATE users SET state = 'disabled' WHERE email_key = 'ada@example.test'").await;
    site.execute("UPDATE access_epoch SET value = value + 1").await;
    let mut other = site.server.visitor();
    let refused = site.sign_in(&mut other, "ada").await;
    assert_eq!(refused.status, 403);
    refused.says("is disabled");
    assert!(!other.cookies.contains_key(SESSION));
    drop(browser);

    // Nor does one come in that would have been linked.
    let colleague = site.server.browser_as("bob@example.test", Role::Viewer).await;
    drop(colleague);
    site.execute("UPDATE users SET state = 'disabled' WHERE email_key = 'bob@example.test'").await;
    let verified = json!({"bob": {"email": "bob@example.test", "email_verified": true, "name": "Bob"}});
    let site = site.changed(verified, VIEWERS).await;
    let refused = site.sign_in(&mut site.server.visitor(), "bob").await;
    assert_eq!(refused.status, 403);
    refused.says("is disabled");
    assert_eq!(site.rows("SELECT subject FROM identities").await, ["ada"]);
    site.server.stop().await;
}

#[tokio::test]
async fn nobody_becomes_the_first_account_by_single_sign_on() {
    let mut setup = Setup::new();
    let provider = provider(people(&["staff"]), &"http://127.0.0.1:1/".parse().unwrap()).await;
    setup.arguments = arguments(&setup, &provider, &["--sso-role=staff=administrator"]);
    let server = setup.start_without_accounts().await;
    let page = server.visitor().get("/sign-in/sso").await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/setup")));
    server.stop().await;
}
