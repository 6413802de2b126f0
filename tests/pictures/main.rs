//! Takes the pictures of the README in `docs/pictures` from the running program with the sandbox.
#![expect(clippy::unwrap_used, reason = "without a picture there is nothing to go on with")]

#[path = "../browser/harness/mod.rs"]
#[expect(dead_code, reason = "the browser tests use the rest")]
mod harness;
#[path = "../browser/person.rs"]
#[expect(dead_code, reason = "the browser tests use the rest")]
mod person;
#[path = "../browser/support.rs"]
#[expect(dead_code, reason = "the browser tests use the rest")]
mod support;

use std::{path::Path, time::Duration};

use harness::Wanted;
use person::Person;
use support::server::Setup;

#[tokio::test]
async fn pictures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut person = server.browser();
    let mut last = String::new();
    for (name, description, account) in [
        ("Partner desk", "Read-only, owned by the partner team", "acme"),
        ("Training", "Play data, refreshed every Monday", "acme-sales"),
        ("Sales US", "Nightly exports for the sales warehouse", "acme-sales"),
        ("Support EU", "Call and agent data of the European support desk", "https://acme-support.talkdeskid.eu"),
    ] {
        setup.clock.advance(Duration::from_secs(35 * 60));
        last = person.add_credential_with(name, &[("description", description), ("account_name", account)]).await;
    }
    for source in ["Agents", "Contacts of the support desk", "Account"] {
        person.add_resource("sources", source, &last, "Users").await;
    }
    setup.clock.advance(Duration::from_secs(2 * 3_600));
    let visitor = Person::with(Wanted::default().size(1_200, 760), &server).await;
    let browser = &visitor.browser;
    let address = server.address.clone();
    browser.goto(address.join(&format!("/sources/new/talkdesk/authenticate?credential={last}")).unwrap().as_str()).await;
    browser.wait_for("html.scripted #add-credential").await;
    browser.screenshot(&folder.join("authenticate.png")).await;

    browser.resize(1_200, 900).await;
    browser.click("#add-credential").await;
    browser.wait_for("#overlay:modal #f-name").await;
    for (field, value) in [
        ("name", "Night shift"),
        ("description", "Agents and calls of the night shift"),
        ("client_id", "sandbox-client"),
        ("client_secret", "sandbox-secret"),
        ("account_name", "acme"),
    ] {
        browser.fill(&format!("#f-{field}"), value).await;
    }
    browser.screenshot(&folder.join("overlay.png")).await;
    server.stop().await;
}
