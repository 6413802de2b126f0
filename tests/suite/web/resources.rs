//! Sources and destinations, from Configure to deletion, through the real router.

use crate::support::server::{Setup, credential_in, good_values};

fn configure(kind: &str, credential: &str) -> String {
    format!("/{kind}/new/talkdesk/configure?credential={credential}")
}

#[tokio::test]
async fn a_source_is_tested_created_and_previewed() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Support").await;
    let path = configure("sources", &credential);
    let page = browser.get(&path).await;
    assert_eq!(page.status, 200);
    page.says("Users");
    page.says("Contacts");
    page.says("Account");
    let form = page.value("form");
    let typed = [
        ("form", form.as_str()),
        ("name", "Agents"),
        ("description", "All agents"),
        ("endpoint", "Users"),
        ("query_name", "per_page"),
        ("query_value", "3"),
        ("action", "test"),
    ];
    let tested = browser.post(&path, &typed).await;
    assert_eq!(tested.status, 200, "{}", tested.text);
    tested.says("GET https://api.talkdeskapp.com/users?per_page=3");
    tested.says("Basic ••••••••");
    tested.says("<th");
    assert_eq!(tested.value("name"), "Agents");
    assert_eq!(tested.value("query_value"), "3");
    let create = typed.map(|(name, value)| if name == "action" { (name, "create") } else { (name, value) });
    let created = browser.post(&path, &create).await;
    assert_eq!(created.status, 303, "{}", created.text);
    let location = created.location.unwrap();
    let again = browser.post(&path, &create).await;
    assert_eq!(again.location.as_deref(), Some(location.as_str()), "the same form creates one source");
    let page = browser.get(&location).await;
    page.says("Agents");
    page.says("All agents");
    page.says("/users");
    page.says("Support");
    let previewed = browser.post(&format!("{}/preview", location.split('?').next().unwrap()), &[]).await;
    assert_eq!(previewed.status, 200);
    previewed.says("GET https://api.talkdeskapp.com/users?per_page=3");
    previewed.says("<th");
    browser.get("/").await.says("Agents");
    browser.get(&format!("/sources/new/talkdesk/authenticate?credential={credential}")).await.says("used by 1");
    server.stop().await;
}

#[tokio::test]
async fn a_destination_writes_with_a_path_of_its_own() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Writer").await;
    let path = configure("destinations", &credential);
    let page = browser.get(&path).await;
    page.says("Create a contact");
    let form = page.value("form");
    let typed = [
        ("form", form.as_str()),
        ("name", "Contacts"),
        ("description", ""),
        ("endpoint", ""),
        ("method", "POST"),
        ("path", "/contacts"),
        ("body", "{\"name\": \"Ana\"}"),
    ];
    // A Test that writes is asked for twice.
    let unsure = browser.post(&path, &[&typed[..], &[("action", "test")]].concat()).await;
    assert_eq!(unsure.status, 422);
    unsure.says("Send it to the real account");
    let tested = browser.post(&path, &[&typed[..], &[("action", "test"), ("may_write", "yes")]].concat()).await;
    assert_eq!(tested.status, 200, "{}", tested.text);
    tested.says("201");
    tested.says("Ana");
    let created = browser.post(&path, &[&typed[..], &[("action", "create")]].concat()).await;
    assert_eq!(created.status, 303);
    assert!(created.location.as_deref().unwrap().starts_with("/destinations/"));
    server.stop().await;
}

#[tokio::test]
async fn configure_says_what_is_wrong_and_keeps_what_was_typed() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Support").await;
    let path = configure("sources", &credential);
    let form = browser.get(&path).await.value("form");
    let typed = [
        ("form", form.as_str()),
        ("name", ""),
        ("description", "kept"),
        ("endpoint", ""),
        ("method", "GET"),
        ("path", "users/../secrets"),
        ("query_name", ""),
        ("query_value", "orphan"),
        ("action", "create"),
    ];
    let page = browser.post(&path, &typed).await;
    assert_eq!(page.status, 422);
    page.says("Enter a name");
    page.says("Start the path with a single /");
    page.says("Name the query parameter");
    page.says("kept");
    assert_eq!(page.value("path"), "users/../secrets");
    assert_eq!(page.value("query_value"), "orphan");
    // A test that fails is explained in place.
    let typed = [
        ("form", form.as_str()),
        ("name", "x"),
        ("description", ""),
        ("endpoint", ""),
        ("method", "GET"),
        ("path", "/nothing"),
        ("action", "test"),
    ];
    let page = browser.post(&path, &typed).await;
    assert_eq!(page.status, 200);
    page.says("404");
    // A credential that is not there, or of another connector.
    for other in ["01890a5d-ac96-774b-bcce-b302099a8057", "nonsense"] {
        let page = browser.get(&configure("sources", other)).await;
        assert!(page.status == 404 || page.status == 422, "{}", page.status);
    }
    server.stop().await;
}

#[tokio::test]
async fn next_without_a_choice_says_so() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    browser.add_credential("Support").await;
    let page = browser.get("/sources/new/talkdesk/configure").await;
    assert_eq!(page.status, 422);
    page.says("Choose a credential");
    server.stop().await;
}

#[tokio::test]
async fn a_resource_can_change_its_credential_and_be_deleted() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let first = browser.add_credential("First").await;
    let overlay = browser.get("/destinations/new/talkdesk/credentials/new").await;
    let saved = browser.post("/destinations/new/talkdesk/credentials/new", &good_values("Second", &overlay.value("draft"))).await;
    let second = credential_in(&saved.location.unwrap());
    let path = configure("sources", &first);
    let form = browser.get(&path).await.value("form");
    let typed = [("form", form.as_str()), ("name", "Agents"), ("description", ""), ("endpoint", "Account"), ("action", "create")];
    let location = browser.post(&path, &typed).await.location.unwrap();
    let location = location.split('?').next().unwrap().to_owned();
    let in_use = browser.post(&format!("/credentials/{first}/delete"), &[]).await;
    assert_eq!(in_use.status, 422);
    in_use.says("Agents");
    let changed = browser.post(&format!("{location}/credential"), &[("credential", &second)]).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    browser.get(&format!("/credentials/{second}")).await.says("Agents");
    assert_eq!(browser.post(&format!("/credentials/{first}/delete"), &[]).await.status, 303);
    assert_eq!(browser.get(&format!("/credentials/{first}")).await.status, 404);
    let asked = browser.get(&format!("{location}/delete")).await;
    asked.says("Agents");
    assert_eq!(browser.get(&location).await.status, 200, "asking deletes nothing");
    assert_eq!(browser.post(&format!("{location}/delete"), &[]).await.status, 303);
    assert_eq!(browser.get(&location).await.status, 404);
    assert_eq!(browser.get(&location.replace("sources", "destinations")).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_credential_can_be_tested_again() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let id = browser.add_credential("Support").await;
    setup.clock.advance(std::time::Duration::from_secs(2 * 3_600));
    browser.get("/credentials").await.says("Verified 2 h ago");
    let tested = browser.post(&format!("/credentials/{id}/test"), &[]).await;
    assert_eq!(tested.status, 303, "{}", tested.text);
    let page = browser.get(&tested.location.unwrap()).await;
    page.says("Token");
    page.does_not_say("Verified 2 h ago");
    server.stop().await;
}

#[tokio::test]
async fn names_with_markup_are_text() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let name = "<script>alert(1)</script>\"'&";
    let id = browser.add_credential(name).await;
    for path in [
        "/credentials".to_owned(),
        format!("/credentials/{id}"),
        format!("/sources/new/talkdesk/authenticate?credential={id}&saved=1"),
        "/credentials?q=%3Cscript%3Ealert".to_owned(),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(!page.text.contains("<script>alert"), "{path}");
        page.says(name);
    }
    server.stop().await;
}

#[tokio::test]
async fn many_credentials_are_searched_and_paged() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    for number in 0..55 {
        setup.clock.advance(std::time::Duration::from_millis(1));
        browser.add_credential(&format!("Desk number {number:02}")).await;
    }
    let first = browser.get("/sources/new/talkdesk/authenticate").await;
    first.says("Desk number 54");
    first.says("Desk number 05");
    first.does_not_say("Desk number 04");
    let next = first
        .text
        .split("href=\"")
        .map(|rest| rest.split('"').next().unwrap())
        .find(|link| link.contains("after="))
        .expect("a link to the next page");
    let second = browser.get(&next.replace("&#38;", "&").replace("&amp;", "&")).await;
    second.says("Desk number 04");
    second.says("Desk number 00");
    let found = browser.get("/sources/new/talkdesk/authenticate?q=NUMBER+07").await;
    found.says("Desk number 07");
    found.does_not_say("Desk number 08");
    let none = browser.get("/sources/new/talkdesk/authenticate?q=100%25").await;
    none.does_not_say("Desk number");
    server.stop().await;
}
