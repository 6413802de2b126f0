//! What holds for every page, for the pages of accounts: getting in, one's own account, people, groups, sharing,
//! what roles see, and the audit trail. What is looked at is in `every_page`.

use std::time::Duration;

use keytile::domain::users::Role;

use crate::{
    every_page::Visitor,
    harness::Wanted,
    person::{Person, TILES},
    support::{
        authenticator::App,
        server::{ADMINISTRATOR, Browser, PASSWORD, Server, Setup},
    },
};

const WIDE: Wanted = Wanted::new().size(1200, 860);

/// Signs in with this input, which may be wrong; returns the status.
async fn sign_in(browser: &mut Browser, email: &str, password: &str) -> u16 {
    browser.get("/sign-in").await;
    browser.post("/sign-in", &[("email", email), ("password", password)]).await.status
}

/// A visitor who is signed in as a new user with this role.
async fn visitor_as(server: &Server, email: &str, role: Role) -> Visitor {
    let browser = server.browser_as(email, role).await;
    Visitor::of(Person::in_session(WIDE, server, &browser).await)
}

/// The id at the end of an address, or before what follows it.
fn id_in(address: &str) -> String {
    address.split(['/', '?']).find(|part| part.len() == 36).unwrap().to_owned()
}

/// Creates a group; returns its id.
async fn add_group(browser: &mut Browser, name: &str) -> String {
    id_in(&browser.post("/settings/groups", &[("name", name)]).await.location.unwrap())
}

#[tokio::test]
async fn the_set_up() {
    let server = Setup::new().start_without_accounts().await;
    let visitor = Visitor::of(Person::stranger(WIDE, &server).await);
    let person = &visitor.person;
    visitor.page("/setup", "Set up").await;
    let setup = server.setup.as_ref().unwrap();
    visitor.again(&format!("/setup?{}", setup.query().unwrap()), "Set up").await;
    person.wait_for_focus("#f-email").await;
    person.browser.fill("#f-email", "ana").await;
    person.browser.fill("#f-name", "Ana").await;
    person.browser.fill("#f-password", "password1234").await;
    person.browser.click("#create").await;
    visitor.next("Error: Set up").await;
    person.wait_for_focus("#f-email[aria-invalid='true']").await;
    person.reads("#f-password-error", "password").await;
}

#[tokio::test]
async fn the_set_up_of_the_sandbox() {
    let server = Setup::sandbox().start_without_accounts().await;
    let visitor = Visitor::of(Person::stranger(WIDE, &server).await);
    let setup = server.setup.as_ref().unwrap();
    visitor.page(&format!("/setup?{}", setup.query().unwrap()), "Set up").await;
    assert_eq!(visitor.person.field("#f-password").await.len(), 20);
    visitor.person.browser.click("#create").await;
    visitor.next("Data flows").await;
}

#[tokio::test]
async fn the_sign_in() {
    let setup = Setup::new();
    let server = setup.start().await;
    let visitor = Visitor::of(Person::stranger(WIDE, &server).await);
    let person = &visitor.person;
    person.goto("/credentials").await;
    visitor.next("Sign in").await;
    person.wait_for_focus("#f-email").await;
    person.browser.click("#sign-in").await;
    visitor.next("Error: Sign in").await;
    person.wait_for_focus("#f-email[aria-invalid='true']").await;
    person.sign_in(ADMINISTRATOR, "not my password").await;
    person.reads("[role='alert']", "Sign-in failed. Check your email address and password.").await;
    visitor.state("Error: Sign in").await;
    let mut others = server.visitor();
    for _ in 0..4 {
        assert_eq!(sign_in(&mut others, ADMINISTRATOR, "not my password either").await, 422);
    }
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    person.reads("[role='alert']", "Too many failed sign-ins. Try again in 1 second.").await;
    visitor.state("Error: Sign in").await;
    setup.clock.advance(Duration::from_secs(2));
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    visitor.next("Credentials").await;
    // A session that has run out is told of.
    setup.clock.advance(Duration::from_secs(13 * 3_600));
    person.goto("/credentials").await;
    person.reads("[role='status']", "Your session has ended.").await;
    visitor.state("Sign in").await;
}

#[tokio::test]
async fn the_second_factor() {
    let setup = Setup::new();
    let server = setup.start().await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page("/settings", "Your account · Settings").await;
    browser.fill("#f-old_password", "not my password").await;
    browser.fill("#f-new_password", "a kettle full of 3 violins").await;
    browser.click("#change-password").await;
    visitor.next("Error: Your account · Settings").await;
    person.wait_for_focus("#f-old_password[aria-invalid='true']").await;

    visitor.page("/settings/second-factor", "Two-step verification · Settings").await;
    let app = App::with_key(&browser.text("#secret").await);
    browser.fill("#f-password", PASSWORD).await;
    browser.fill("#f-code", "000000").await;
    browser.click("#enable").await;
    visitor.next("Error: Two-step verification · Settings").await;
    person.wait_for_focus("#f-code[aria-invalid='true']").await;
    browser.fill("#f-password", PASSWORD).await;
    browser.fill("#f-code", &app.code(&setup.clock)).await;
    browser.click("#enable").await;
    visitor.next("Recovery codes · Settings").await;
    assert_eq!(person.count("#codes code").await, 10);
    let codes = browser.value("[...document.querySelectorAll('#codes code')].map(code => code.textContent)").await;
    visitor.again("/settings", "Your account · Settings").await;

    // The page between password and session, and an account that has almost no recovery code left.
    browser.click(".site-person button").await;
    person.wait_for_title("Sign in · Keytile").await;
    for (used, code) in codes.as_array().unwrap().iter().take(8).enumerate() {
        let mut other = server.visitor();
        assert_eq!(sign_in(&mut other, ADMINISTRATOR, PASSWORD).await, 303);
        let done = other.post("/sign-in/code", &[("code", code.as_str().unwrap())]).await;
        assert_eq!(done.status, 303, "{used}: {}", done.text);
    }
    person.sign_in(ADMINISTRATOR, PASSWORD).await;
    visitor.next("Enter your code").await;
    person.wait_for_focus("#f-code").await;
    browser.fill("#f-code", "123456").await;
    browser.click("#sign-in").await;
    visitor.next("Error: Enter your code").await;
    person.wait_for_focus("#f-code[aria-invalid='true']").await;
    browser.fill("#f-code", codes[8].as_str().unwrap()).await;
    browser.click("#sign-in").await;
    person.wait_for_title("Data flows · Keytile").await;
    visitor.again("/settings", "Your account · Settings").await;
    person.reads(".notice-warn #codes-left", "1 recovery code is left.").await;
    visitor.page("/settings/sessions", "Sessions · Settings").await;
    browser.click("#end-others").await;
    person.reads("[role='status']", "All your other sessions have ended.").await;
    visitor.state("Sessions · Settings").await;
}

#[tokio::test]
async fn people() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut editor = server.browser_as("ben.with.a.long.address@subsidiary.example.com", Role::Editor).await;
    editor.add_credential("Support EU").await;
    server.browser().add_credential("Support EU").await;
    server.browser_as("vera@example.com", Role::Viewer).await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page("/settings/people", "People · Settings").await;
    browser.click("#add-person").await;
    visitor.next("Error: People · Settings").await;
    person.wait_for_focus("#f-email[aria-invalid='true']").await;
    browser.fill("#f-email", "carla@example.com").await;
    browser.fill("#f-name", "Carla Nobody").await;
    browser.click("#add-person").await;
    visitor.next("Link for Carla Nobody · Settings").await;
    let link = browser.text("#link").await;
    visitor.again("/settings/people?q=nobody+has+this", "People · Settings").await;

    person.goto("/settings/people?q=ben").await;
    browser.click("#people a").await;
    visitor.next("ben.with.a.long.address · People").await;
    let ben = id_in(&person.location().await);
    browser.fill("#f-email", "carla@example.com").await;
    browser.click("#save").await;
    visitor.next("Error: ben.with.a.long.address · People").await;
    person.wait_for_focus("#f-email[aria-invalid='true']").await;
    visitor.page(&format!("/settings/people/{ben}/hand-over"), "Transfer ownership · ben.with.a.long.address · Settings").await;
    browser.fill("#f-to", "vera@example.com").await;
    browser.click("#confirm-hand-over").await;
    visitor.next("Error: Transfer ownership · ben.with.a.long.address · Settings").await;
    person.wait_for_focus("#f-to[aria-invalid='true']").await;
    browser.fill("#f-to", ADMINISTRATOR).await;
    browser.click("#confirm-hand-over").await;
    visitor.next("Transferred · ben.with.a.long.address · Settings").await;
    assert_eq!(person.count("#renamed tbody tr").await, 1);
    person.goto(&format!("/settings/people/{ben}")).await;
    browser.click("#disable").await;
    person.reads("[role='status']", "Disabled.").await;
    visitor.state("ben.with.a.long.address · People").await;
    // The last administrator cannot be disabled.
    person.goto("/settings/people?q=ana").await;
    browser.click("#people a").await;
    person.wait_for_title("Ana · People · Keytile").await;
    browser.click("#disable").await;
    person.reads("#problem", "This is the last active administrator").await;
    visitor.state("Error: Ana · People").await;
    browser.click("[name='role'][value='viewer']").await;
    browser.click("#save").await;
    person.wait_for_focus("#f-role[aria-invalid='true']").await;
    visitor.state("Error: Ana · People").await;
    drop(visitor);

    // The other end of the link.
    let visitor = Visitor::of(Person::stranger(WIDE, &server).await);
    let person = &visitor.person;
    visitor
        .page(link.split_once("/password").map(|(_, rest)| format!("/password{rest}")).unwrap().as_str(), "Choose a password")
        .await;
    person.wait_for_focus("#f-password").await;
    person.browser.fill("#f-password", "short").await;
    person.browser.click("#choose").await;
    visitor.next("Error: Choose a password").await;
    person.wait_for_focus("#f-password[aria-invalid='true']").await;
    visitor.again("/password?token=made-up", "Choose a password").await;
    person.reads("#void", "This link doesn't work.").await;
}

#[tokio::test]
async fn groups() {
    let server = Setup::sandbox().start().await;
    let mut seeding = server.browser();
    server.browser_as("ben@example.com", Role::Operator).await;
    let credential = seeding.add_credential("Support EU").await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page("/settings/groups", "Groups · Settings").await;
    browser.click("#add-group").await;
    visitor.next("Error: Groups · Settings").await;
    person.wait_for_focus("#f-name[aria-invalid='true']").await;
    let long = add_group(&mut seeding, &"W".repeat(100)).await;
    let support = add_group(&mut seeding, "Support").await;
    let empty = add_group(&mut seeding, "Nobody yet").await;
    visitor.again("/settings/groups", "Groups · Settings").await;
    visitor.page(&format!("/settings/groups/{long}"), &format!("{} · Groups", "W".repeat(100))).await;
    visitor.page(&format!("/settings/groups/{support}"), "Support · Groups").await;
    browser.fill("#f-email", "stranger@example.com").await;
    browser.click("#add-member").await;
    visitor.next("Error: Support · Groups").await;
    person.wait_for_focus("#f-email[aria-invalid='true']").await;
    for member in ["ben@example.com", ADMINISTRATOR] {
        browser.fill("#f-email", member).await;
        browser.click("#add-member").await;
        person.reads("[role='status']", "Person added.").await;
        person.reads("#members", member).await;
    }
    visitor.state("Support · Groups").await;
    browser.fill("#f-name", "Nobody yet").await;
    browser.click("#rename").await;
    visitor.next("Error: Support · Groups").await;
    person.wait_for_focus("#f-name[aria-invalid='true']").await;
    let shared = [("action", "add"), ("with", "Support"), ("access", "use")];
    assert_eq!(seeding.post(&format!("/credentials/{credential}/sharing"), &shared).await.status, 303);
    visitor.page(&format!("/settings/groups/{support}/delete"), "Delete Support?").await;
    person.reads("#shares", "Support EU").await;
    visitor.page(&format!("/settings/groups/{empty}/delete"), "Delete Nobody yet?").await;
    person.reads("#confirm", "Nothing is shared with this group, and it has no members.").await;
    visitor.again(&format!("/settings/groups/{empty}"), "Nobody yet · Groups").await;
    browser.click("#delete").await;
    browser.wait_for("dialog.confirm:modal").await;
    browser.assert_accessible().await;
    browser.click("dialog.confirm #confirm-delete").await;
    person.reads("[role='status']", "Group deleted.").await;
    visitor.state("Groups · Settings").await;
}

#[tokio::test]
async fn sharing() {
    let server = Setup::sandbox().start().await;
    let mut seeding = server.browser();
    server.browser_as("ben.with.a.long.address@subsidiary.example.com", Role::Operator).await;
    add_group(&mut seeding, "Support").await;
    let credential = seeding.add_credential("Support EU").await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    let page = format!("/credentials/{credential}/sharing");
    visitor.page(&page, "Share Support EU · Credentials").await;
    browser.fill("#with", "stranger@example.com").await;
    browser.click("#add").await;
    visitor.next("Error: Share Support EU · Credentials").await;
    person.wait_for_focus("#with[aria-invalid='true']").await;
    for with in ["ben.with.a.long.address@subsidiary.example.com", "Support"] {
        browser.fill("#with", with).await;
        browser.click("#add").await;
        person.reads("#shares", with).await;
    }
    person.reads("[role='status']", "Sharing updated.").await;
    visitor.state("Share Support EU · Credentials").await;
}

#[tokio::test]
async fn what_roles_see() {
    let server = Setup::sandbox().start().await;
    let mut seeding = server.browser();
    let credential = seeding.add_credential("Support EU").await;
    seeding.add_resource("sources", "Agents", &credential, "Users").await;
    let page = format!("/credentials/{credential}");
    let operator = visitor_as(&server, "oskar@example.com", Role::Operator).await;
    operator.page(TILES, "Authenticate · New source").await;
    operator.page("/credentials", "Credentials").await;
    let opened = [("action", "open"), ("sharing", "everyone")];
    assert_eq!(seeding.post(&format!("{page}/sharing"), &opened).await.status, 303);
    operator.again(TILES, "Authenticate · New source").await;
    operator.page(&page, "Support EU · Credentials").await;
    operator.page("/settings", "Your account · Settings").await;
    drop(operator);
    let viewer = visitor_as(&server, "vera@example.com", Role::Viewer).await;
    viewer.page("/", "Data flows").await;
    viewer.page("/credentials", "Credentials").await;
    viewer.page(&page, "Support EU · Credentials").await;
    viewer.page("/settings/people", "Not allowed").await;
    viewer.page(TILES, "Authenticate · New source").await;
}

#[tokio::test]
async fn the_audit_trail() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut seeding = server.browser();
    let credential = seeding.add_credential("Support EU").await;
    let mut editor = server.browser_as("ben.with.a.long.address@subsidiary.example.com", Role::Editor).await;
    editor.add_credential("Support EU").await;
    assert_eq!(editor.get("/audit").await.status, 403);
    assert_eq!(sign_in(&mut server.visitor(), "stranger@example.com", "not a password").await, 422);
    let shared = [("action", "add"), ("with", "ben.with.a.long.address@subsidiary.example.com"), ("access", "manage")];
    assert_eq!(seeding.post(&format!("/credentials/{credential}/sharing"), &shared).await.status, 303);
    let visitor = Visitor::at(&server).await;
    visitor.page("/audit", "Audit").await;
    for filtered in
        [format!("target={credential}"), "target=Support+EU".to_owned(), "action=api_key.revoke&from=2025-06-01T00:00".to_owned()]
    {
        visitor.again(&format!("/audit?{filtered}"), "Audit").await;
    }
    visitor.page("/audit?person=nobody%40example.com", "Error: Audit").await;
}

#[tokio::test]
async fn single_sign_on() {
    let mut setup = Setup::new();
    // Nothing is asked of the provider until somebody presses the button.
    let secret = setup.folder.path().join("secret");
    std::fs::write(&secret, "not asked for").unwrap();
    for argument in ["--sso-issuer=https://id.example.test", "--sso-client-id=keytile", "--sso-name=Example ID"] {
        setup = setup.with(argument);
    }
    let setup = setup.with("--sso-default-role=viewer").with(format!("--sso-client-secret-file={}", secret.display()));
    let server = setup.start().await;
    let visitor = Visitor::of(Person::stranger(WIDE, &server).await);
    visitor.page("/sign-in?next=/credentials", "Sign in").await;
    visitor.person.reads("#single-sign-on", "Sign in with Example ID").await;
    visitor.again("/sign-in/sso/callback?code=a&state=b", "Error: Sign-in failed").await;
    drop(visitor);
    server.stop().await;
    let server = setup.with("--sso-only").start().await;
    let visitor = Visitor::of(Person::stranger(WIDE, &server).await);
    visitor.page("/sign-in", "Sign in").await;
    assert_eq!(visitor.person.count("#f-password").await, 0);
}
