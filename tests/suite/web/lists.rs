//! Lists that are longer than a page: every entry can be reached, and what is left out is said.

use std::time::Duration;

use super::drafts::tamper;
use crate::support::server::{Browser, Page, Setup};

/// How many entries are more than any page has.
const MANY: usize = 53;

/// Creates a source or destination and returns its address.
async fn create(browser: &mut Browser, kind: &str, credential: &str, number: usize) -> String {
    let path = format!("/{kind}/new/talkdesk/configure?credential={credential}");
    let (form, name) = (format!("01890a5d-ac96-774b-bcce-{number:012x}"), format!("Flow number {number:02}"));
    let typed =
        [("form", form.as_str()), ("name", &name), ("method", "GET"), ("path", "/account"), ("endpoint", ""), ("action", "create")];
    let created = browser.post(&path, &typed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    created.location.unwrap().split('?').next().unwrap().to_owned()
}

/// The link of the page that has this in its address.
fn link(page: &Page, part: &str) -> String {
    let links = page.text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut found = links.filter(|link| link.contains(part));
    let link = found.next().unwrap_or_else(|| panic!("no link with {part} in:\n{}", page.text));
    link.replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn every_source_and_destination_can_be_reached() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    for kind in ["sources", "destinations"] {
        let page = browser.get(&format!("/{kind}")).await;
        assert_eq!(page.status, 200);
        page.says(&format!("No {kind} yet."));
        page.does_not_say("load-more");
    }
    let credential = browser.add_credential("Support").await;
    for number in 0..MANY {
        setup.clock.advance(Duration::from_millis(1));
        create(&mut browser, "sources", &credential, number).await;
    }
    create(&mut browser, "destinations", &credential, 100).await;

    let home = browser.get("/").await;
    home.says("Flow number 33");
    home.does_not_say("Flow number 32");
    home.says("This list shows the newest 20. All sources");
    home.says("All destinations");
    assert_eq!(home.text.matches("This list shows").count(), 1, "the only destination is not one of many");

    let first = browser.get("/sources").await;
    first.says("The newest 50 sources");
    first.says("Flow number 52");
    first.says("Flow number 03");
    first.does_not_say("Flow number 02");
    first.says("<a href=\"/\" aria-current=\"true\">Data flows</a>");
    let second = browser.get(&link(&first, "after=")).await;
    second.says("3 older sources");
    second.says("Flow number 02");
    second.says("Flow number 00");
    second.does_not_say("Flow number 03");
    second.does_not_say("load-more");
    assert_eq!(browser.get(&link(&second, "/sources/0")).await.status, 200);

    let destinations = browser.get("/destinations").await;
    destinations.says("1 destination");
    destinations.says("Flow number 100");
    destinations.does_not_say("Flow number 52");
    assert_eq!(browser.get("/destinations?after=nonsense").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn home_says_that_more_credentials_may_need_attention() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    for number in 0..21 {
        setup.clock.advance(Duration::from_millis(1));
        browser.add_credential(&format!("Desk number {number:02}")).await;
    }
    tamper(&setup, "UPDATE credentials SET status = 'unreachable' WHERE name > 'Desk number 17'").await;
    let home = browser.get("/").await;
    home.says("Desk number 18");
    home.does_not_say("This list shows up to");
    tamper(&setup, "UPDATE credentials SET status = 'rejected'").await;
    let home = browser.get("/").await;
    home.does_not_say("Desk number 00");
    home.says("This list shows up to 20. All credentials");
    server.stop().await;
}

#[tokio::test]
async fn a_resource_can_be_given_any_credential_of_its_connector() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let mut ids = Vec::new();
    for number in 0..3 {
        setup.clock.advance(Duration::from_millis(1));
        ids.push(browser.add_credential(&format!("Desk number {number:02}")).await);
    }
    let address = create(&mut browser, "sources", &ids[0], 1).await;
    let few = browser.get(&address).await;
    few.says("Desk number 01");
    few.does_not_say("credential-search");
    for number in 3..MANY {
        setup.clock.advance(Duration::from_millis(1));
        browser.add_credential(&format!("Desk number {number:02}")).await;
    }

    let page = browser.get(&address).await;
    page.says("This list shows the newest 50.");
    page.says("Desk number 03 (acme)");
    page.does_not_say("Desk number 02");
    let found = browser.get(&format!("{address}?q=NUMBER+01")).await;
    assert_eq!(found.value("q"), "NUMBER 01");
    found.says("1 found.");
    found.says("Desk number 01 (acme)");
    found.does_not_say("Desk number 03");
    let none = browser.get(&format!("{address}?q=number+00")).await;
    none.says("No other credential has “number 00” in its name or description.");
    none.says("credential-search");
    none.does_not_say("No other TalkDesk credentials.");

    let gone = [("credential", "01890a5d-ac96-774b-bcce-b302099a8057"), ("q", "number 01")];
    let refused = browser.post(&format!("{address}/credential"), &gone).await;
    assert_eq!((refused.status, refused.value("q").as_str()), (422, "number 01"), "the search goes on");
    refused.says("Desk number 01 (acme)");
    let changed = browser.post(&format!("{address}/credential"), &[("credential", &ids[1]), ("q", "number 01")]).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    browser.get(&changed.location.unwrap()).await.says(&format!("href=\"/credentials/{}\"", ids[1]));
    server.stop().await;
}

#[tokio::test]
async fn the_chosen_tile_stays_and_is_no_hit() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let mut ids = Vec::new();
    for number in 0..MANY {
        setup.clock.advance(Duration::from_millis(1));
        ids.push(browser.add_credential(&format!("Desk number {number:02}")).await);
    }
    let tiles = "/sources/new/talkdesk/authenticate";
    let count = |page: &Page| page.text.matches("class=\"tile-radio\"").count();
    let chosen = |page: &Page, id: &str| {
        let input = page.text.split(&format!("value=\"{id}\" aria")).nth(1).map(|rest| rest.split('>').next().unwrap());
        input.is_some_and(|input| input.ends_with(" checked"))
    };

    // No hit but the chosen one, which is none.
    let none = browser.get(&format!("{tiles}?credential={}&q=zzz", ids[0])).await;
    none.says("0 credentials");
    none.says("No credential has “zzz” in its name or description.");
    assert!(count(&none) == 1 && chosen(&none, &ids[0]), "{}", none.text);
    assert_eq!(link(&none, "authenticate?credential="), format!("{tiles}?credential={}", ids[0]), "Show all keeps the choice");
    // A hit beside the chosen one; then the chosen one is the hit.
    let one = browser.get(&format!("{tiles}?credential={}&q=number+07", ids[0])).await;
    one.says("1 credential<");
    assert!(count(&one) == 2 && chosen(&one, &ids[0]));
    let itself = browser.get(&format!("{tiles}?credential={}&q=number+07", ids[7])).await;
    itself.says("1 credential<");
    assert!(count(&itself) == 1 && chosen(&itself, &ids[7]));

    // The next page knows the choice, which is shown on both pages and counted where it belongs.
    let first = browser.get(&format!("{tiles}?credential={}", ids[1])).await;
    first.says("The newest 50 credentials");
    assert_eq!(count(&first), 51);
    let next = link(&first, "after=");
    assert!(next.contains(&format!("credential={}", ids[1])), "{next}");
    let second = browser.get(&next).await;
    second.says("3 older credentials");
    assert!(count(&second) == 3 && chosen(&second, &ids[1]));
    let other = browser.get(&next.replace(&ids[1], &ids[52])).await;
    other.says("3 older credentials");
    assert!(count(&other) == 4 && chosen(&other, &ids[52]));
    server.stop().await;
}
