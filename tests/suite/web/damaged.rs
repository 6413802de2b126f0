//! What is gone or damaged: its page says so, what was typed beside it is kept, and it can be deleted.

use super::drafts::tamper;
use crate::support::server::{Browser, OVERLAY, Page, Setup};

const CONFIGURE: &str = "/sources/new/talkdesk/configure";
const FORM: &str = "01890a5d-ac96-774b-bcce-000000000001";

/// What a person has typed into Configure.
fn typed(action: &str) -> Vec<(&str, &str)> {
    vec![
        ("form", FORM),
        ("name", "Agents of the night"),
        ("description", "For the report"),
        ("endpoint", ""),
        ("method", "GET"),
        ("path", "/account"),
        ("query_name", "page"),
        ("query_value", "7"),
        ("action", action),
    ]
}

#[track_caller]
fn keeps_what_was_typed(page: &Page) {
    assert_eq!(page.status, 422, "{}", page.text);
    assert_eq!(page.value("name"), "Agents of the night");
    assert_eq!(page.value("path"), "/account");
    assert_eq!((page.value("query_name"), page.value("query_value")), ("page".into(), "7".into()));
    assert_eq!(page.value("form"), FORM, "it is the same form");
    page.says("For the report");
}

async fn created(browser: &mut Browser, credential: &str) -> String {
    let created = browser.post(&format!("{CONFIGURE}?credential={credential}"), &typed("create")).await;
    assert_eq!(created.status, 303, "{}", created.text);
    created.location.unwrap().split('?').next().unwrap().to_owned()
}

#[tokio::test]
async fn configure_goes_on_with_another_credential_when_its_own_is_gone() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let first = browser.add_credential("First").await;
    assert_eq!(browser.post(&format!("/credentials/{first}/delete"), &[]).await.status, 303);
    let path = format!("{CONFIGURE}?credential={first}");
    for action in ["test", "create", "add-parameter"] {
        let page = browser.post(&path, &typed(action)).await;
        keeps_what_was_typed(&page);
        page.says("This credential isn't available. It may be deleted or not shared with you. Choose another one here. What you typed is kept.");
        page.says("You don't have another TalkDesk credential to use.");
        page.says("href=\"/sources/new/talkdesk/authenticate\"");
        assert!(page.text.contains(&format!("action=\"{CONFIGURE}\"")), "{}", page.text);
    }
    // Another one is added in a second window; then the form is sent again, without and with a choice.
    let second = browser.add_credential("Second").await;
    let page = browser.post(CONFIGURE, &typed("create")).await;
    keeps_what_was_typed(&page);
    page.says("No credential is chosen.");
    page.says(&format!("<option value=\"{second}\">Second (acme)</option>"));
    page.says("href=\"#credential\"");
    let tested = browser.post(CONFIGURE, &[&typed("test")[..], &[("credential", &second)]].concat()).await;
    assert_eq!(tested.status, 200, "{}", tested.text);
    tested.says("Success: 200");
    assert!(tested.text.contains(&format!("action=\"{CONFIGURE}?credential={second}\"")), "the choice stays: {}", tested.text);
    let source = created(&mut browser, &second).await;
    browser.get(&source).await.says("Agents of the night");
    // Nothing was typed yet: the tiles say it.
    let page = browser.get(&path).await;
    assert_eq!(page.status, 422);
    page.says("This credential isn't available. It may be deleted or not shared with you. Choose another, or add one.");
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_credential_says_so_and_is_neither_tested_nor_used() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let damaged = browser.add_credential("Damaged").await;
    let source = created(&mut browser, &damaged).await;
    let page = browser.get(&format!("/credentials/{damaged}")).await;
    page.does_not_say("can't decrypt");
    page.says("Test again");
    tamper(&setup, "UPDATE credential_secrets SET ciphertext = zeroblob(200)").await;

    let page = browser.get(&format!("/credentials/{damaged}")).await;
    assert_eq!(page.status, 200);
    page.says("Keytile can't decrypt this credential with its keyring.");
    page.does_not_say("Test again");
    page.does_not_say("sandbox-client");
    page.says("Agents of the night");
    let previewed = browser.post(&format!("{source}/preview"), &[]).await;
    assert_eq!(previewed.status, 422);
    previewed.says("Keytile can't decrypt its credential.");
    // Configure, opened before it was damaged.
    let whole = browser.add_credential("Whole").await;
    let page = browser.post(&format!("{CONFIGURE}?credential={damaged}"), &typed("test")).await;
    keeps_what_was_typed(&page);
    page.says("Keytile can't decrypt this credential.");
    page.says(&format!("<option value=\"{whole}\">"));
    assert!(!page.text.contains(&format!("<option value=\"{damaged}\">")), "{}", page.text);
    let page = browser.get(&format!("{CONFIGURE}?credential={damaged}")).await;
    assert_eq!(page.status, 422);
    page.says("Keytile can't decrypt this credential. Choose another, or add one.");
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_endpoint_says_so_and_can_be_deleted() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Support").await;
    let source = created(&mut browser, &credential).await;
    tamper(&setup, "UPDATE resources SET endpoint = zeroblob(200)").await;
    for page in [browser.get(&source).await, browser.post(&format!("{source}/preview"), &[]).await] {
        assert_eq!(page.status, 200, "{}", page.text);
        page.says("Keytile can't decrypt this data source with its keyring.");
        page.says("Agents of the night");
        page.says(&format!("href=\"{source}/delete\""));
        page.does_not_say("preview-button");
    }
    let list = browser.get("/sources").await;
    list.says("Agents of the night");
    browser.get(&format!("{source}/delete")).await.says("Delete “Agents of the night”?");
    assert_eq!(browser.post(&format!("{source}/delete"), &[]).await.status, 303);
    assert_eq!(browser.get(&source).await.status, 404);
    server.stop().await;
}

/// A Keytile with a folder of connectors, in which a copy of TalkDesk's is under another id, with something else in it.
pub(crate) fn with_copied_connector(setup: Setup, id: &str, from: &str, to: &str) -> Setup {
    let folder = setup.folder.path().join("connectors");
    std::fs::create_dir(&folder).unwrap();
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/connectors/talkdesk");
    let text = std::fs::read_to_string(format!("{built_in}.toml")).unwrap();
    let text = text.replace("id = \"talkdesk\"", &format!("id = \"{id}\"")).replace(from, to);
    std::fs::write(folder.join(format!("{id}.toml")), text).unwrap();
    std::fs::copy(format!("{built_in}.md"), folder.join("talkdesk.md")).unwrap();
    setup.with(format!("--connectors={}", folder.display()))
}

#[tokio::test]
async fn a_credential_whose_connector_was_taken_away_says_so() {
    let mut setup = with_copied_connector(Setup::sandbox(), "desk-copy", "name = \"TalkDesk\"", "name = \"Desk Copy\"");
    let server = setup.start().await;
    let mut browser = server.browser();
    let id = browser.add_credential_in(&OVERLAY.replace("talkdesk", "desk-copy"), "Orphan").await;
    let address = format!("/credentials/{id}");
    browser.get(&address).await.says("Test again");
    server.stop().await;

    setup.arguments.retain(|argument| !argument.starts_with("--connectors"));
    let server = setup.start().await;
    let mut browser = browser.moved_to(&server);
    let page = browser.get(&address).await;
    assert_eq!(page.status, 200);
    page.says("The connector “desk-copy” isn't installed.");
    page.does_not_say("Test again");
    page.does_not_say("can't decrypt");
    page.says("sandbox-client");
    page.does_not_say("sandbox-secret");
    // A page that was opened before still has the button.
    let tested = browser.post(&format!("{address}/test"), &[]).await;
    assert_eq!((tested.status, tested.location.as_deref()), (303, Some(address.as_str())));
    assert_eq!(browser.post(&format!("{address}/delete"), &[]).await.status, 303);
    assert_eq!(browser.get(&address).await.status, 404);
    server.stop().await;
}
