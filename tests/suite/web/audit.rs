//! The audit page: what administrators see of it, how it is narrowed, and its export.

use std::time::Duration;

use keytile::domain::users::Role;

use crate::support::{
    database::TestDatabase,
    server::{ADMINISTRATOR, Browser, Page, Setup},
};

/// How many events a page shows.
fn rows(page: &Page) -> usize {
    page.text.matches("<tr id=\"event-").count()
}

/// The places of the events on a page.
fn places(page: &Page) -> Vec<i64> {
    let tags = page.text.split("<tr id=\"event-").skip(1);
    tags.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

/// The address of the link of this id or text before which it stands.
fn link(page: &Page, after: &str) -> String {
    let rest = page.text.split_once(after).unwrap_or_else(|| panic!("no {after} in:\n{}", page.text)).1;
    let address = rest.split_once("href=\"").unwrap().1.split('"').next().unwrap();
    address.replace("&amp;", "&").replace("&#38;", "&")
}

async fn delete(browser: &mut Browser, credential: &str) {
    let deleted = browser.post(&format!("/credentials/{credential}/delete"), &[]).await;
    assert_eq!(deleted.status, 303, "{}", deleted.text);
}

#[tokio::test]
async fn what_was_done_is_shown_in_plain_words() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Support <EU>").await;
    browser.post(&format!("/credentials/{credential}/test"), &[]).await;
    let page = browser.get("/audit").await;
    assert_eq!(page.status, 200);
    for words in ["Created the first administrator", "Signed in", "Added a credential", "Verified a credential", "127.0.0.1"] {
        page.says(words);
    }
    page.says("Support <EU>");
    page.does_not_say("<EU></a><EU>");
    assert!(!page.text.contains("<EU>"), "what people typed is escaped");
    assert_eq!(link(&page, "Credential</span>"), format!("/credentials/{credential}"));
    page.says("2025-06-01 12:00:00");
    page.says("Started with a changed setting");
    page.says("--sandbox is true, was not set");
    // The page of the credential leads to what was done with it.
    let own = browser.get(&format!("/credentials/{credential}")).await;
    assert_eq!(link(&own, "class=\"button\" id=\"audit\"").as_str(), format!("/audit?target={credential}"));
    let narrowed = browser.get(&format!("/audit?target={credential}")).await;
    assert_eq!(rows(&narrowed), 2);
    delete(&mut browser, &credential).await;
    let narrowed = browser.get(&format!("/audit?target={credential}")).await;
    assert_eq!(rows(&narrowed), 3);
    assert!(!narrowed.text.contains(&format!("href=\"/credentials/{credential}\"")), "a page that is gone is not linked");
}

#[tokio::test]
async fn it_is_narrowed_by_person_thing_action_and_time() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let first = browser.add_credential("First").await;
    setup.clock.advance(Duration::from_secs(3_600));
    browser.add_credential("Second").await;
    let count = async |query: &str| {
        let page = server.browser().get(&format!("/audit?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.text);
        rows(&page)
    };
    assert_eq!(count("action=credential.add").await, 2);
    assert_eq!(count("action=credential.delete").await, 0);
    assert_eq!(count("target=First").await, 1);
    assert_eq!(count("target=+fIRST+").await, 1);
    assert_eq!(count(&format!("target={first}&action=credential.add")).await, 1);
    assert_eq!(count(&format!("target={first}&action=credential.delete")).await, 0);
    let email = ADMINISTRATOR.replace('@', "%40");
    assert_eq!(count(&format!("person={email}&action=credential.add")).await, 2);
    assert_eq!(count(&format!("person={email}&target={first}")).await, 1);
    assert_eq!(count(&format!("person={email}&target={first}&action=session.sign_in")).await, 0);
    assert_eq!(count("from=2025-06-01T12:01&action=credential.add").await, 1);
    assert_eq!(count("until=2025-06-01T12:01&action=credential.add").await, 1);
    assert_eq!(count("until=2025-06-01T12:00&action=credential.add").await, 1, "a minute is there as a whole");
    assert_eq!(count("from=2025-06-01T13:00&until=2025-06-01&action=credential.add").await, 1, "and so is a day");
    assert_eq!(count("from=2025-06-01T13:00:01").await, 0);
    assert_eq!(count("from=2025-06-02&until=2025-06-01").await, 0);
    // By the id of the person, as the links of the page name them; the form shows the address.
    let page = browser.get("/audit").await;
    let page = browser.get(&link(&page, "<td class=\"table-words\">")).await;
    assert_eq!(page.value("person"), ADMINISTRATOR);
    assert!(rows(&page) >= 4);
}

#[tokio::test]
async fn what_cannot_be_searched_for_is_said_beside_its_field() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    for (query, field, words) in [
        ("person=nobody%40example.com", "person", "No account has this email address or ID."),
        ("person=%00%27", "person", "No account"),
        ("target=Nowhere", "target", "No credential has this name."),
        ("target=a%00b", "target", "No credential has this name."),
        ("action=tile.paint", "action", "Choose an action from the list."),
        ("from=yesterday", "from", "Enter a date and time"),
        ("until=2025-13-01", "until", "Enter a date and time"),
    ] {
        let page = browser.get(&format!("/audit?{query}")).await;
        assert_eq!((page.status, rows(&page)), (422, 0), "{query}");
        page.says(words);
        page.says(&format!("id=\"f-{field}-error\""));
    }
    let odd = browser.get("/audit?before=x&page=7&person=&target=&action=&from=&until=").await;
    assert_eq!(odd.status, 200, "what is not a filter does not narrow");
    assert!(rows(&odd) > 0);
}

#[tokio::test]
async fn credentials_of_one_name_are_told_apart() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let talkdesk = browser.add_credential("Same").await;
    // Another connector's, stored as Save would store it.
    let other = "/sources/new/oauth2-client-credentials/credentials/new";
    let draft = browser.get(other).await.value("draft");
    let typed = [
        ("draft", draft.as_str()),
        ("name", "same"),
        ("description", ""),
        ("token_url", "https://acme.talkdeskid.com/oauth/token"),
        ("client_id", "sandbox-client"),
        ("client_secret", "sandbox-secret"),
        ("api_base_url", "https://api.talkdeskapp.com"),
        ("scopes", ""),
        ("client_authentication", "basic"),
        ("basic_encoding", "form"),
        ("authorization_prefix", "Basic"),
    ];
    let saved = browser.post(other, &typed).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let page = browser.get("/audit?target=SAME&action=credential.add").await;
    assert_eq!((page.status, rows(&page)), (200, 0));
    page.says("Several credentials are named “SAME”");
    assert!(page.text.contains(&format!("target={talkdesk}")), "{}", page.text);
    let chosen = browser.get(&link(&page, "id=\"choices\"")).await;
    assert_eq!(rows(&chosen), 1, "what else was asked for still counts");
}

#[tokio::test]
async fn a_long_trail_is_read_page_by_page() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    for number in 0..60 {
        // Each is refused and recorded.
        let forged = browser.form(&format!("/credentials/{number}/test"), &[]).body("form_token=forged");
        assert_eq!(browser.send(forged).await.status, 403);
    }
    let first = browser.get("/audit").await;
    assert_eq!(rows(&first), 50);
    let next = link(&first, "id=\"load-more\"");
    // What happens meanwhile does not move the pages.
    browser.add_credential("Meanwhile").await;
    let second = browser.get(&next).await;
    let (newer, older) = (places(&first), places(&second));
    assert_eq!(newer.last().unwrap() - 1, older[0]);
    assert_eq!(*older.last().unwrap(), 1);
    assert!(!second.text.contains("id=\"load-more\""));
    let narrowed = browser.get("/audit?action=access.forged_form").await;
    let next = link(&narrowed, "id=\"load-more\"");
    assert!(next.contains("action=access.forged_form"), "{next}");
    assert_eq!(rows(&browser.get(&next).await), 10);
    browser.get("/audit?before=1").await.says("There are no older events");
}

#[tokio::test]
async fn only_administrators_read_it() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let credential = server.browser().add_credential("Support EU").await;
    for (role, email) in [(Role::Editor, "ed@example.com"), (Role::Operator, "op@example.com"), (Role::Viewer, "vi@example.com")] {
        let mut browser = server.browser_as(email, role).await;
        for path in ["/audit", "/audit?person=ana%40example.com", "/audit?target=Nowhere"] {
            let page = browser.get(path).await;
            assert_eq!(page.status, 403, "{role:?} {path}");
            page.does_not_say("Support EU");
        }
        assert_eq!(browser.post("/audit/export", &[]).await.status, 403, "{role:?}");
        browser.get("/").await.does_not_say("href=\"/audit");
        browser.get(&format!("/credentials/{credential}")).await.does_not_say("href=\"/audit");
    }
    let page = server.browser().get("/audit?action=access.refused").await;
    page.says("reading the audit trail: not for the role viewer");
    page.says("exporting the audit trail: not for the role operator");
    assert_eq!(server.visitor().get("/audit").await.location.as_deref(), Some("/sign-in?next=/audit"));
}

#[tokio::test]
async fn the_export_is_what_the_page_shows_and_is_recorded() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    browser.add_credential("First").await;
    browser.add_credential("Second").await;
    let export = browser.post("/audit/export", &[("action", "credential.add")]).await;
    assert_eq!(export.status, 200);
    assert_eq!(export.headers["content-type"], "application/jsonl; charset=utf-8");
    assert_eq!(export.headers["content-disposition"], "attachment; filename=\"keytile-audit.jsonl\"");
    assert_eq!(export.headers["cache-control"], "no-store");
    let lines: Vec<serde_json::Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = lines.iter().map(|line| line["target_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["First", "Second"]);
    assert_eq!(lines[0]["time"], "2025-06-01T12:00:00Z");
    assert_eq!(lines[0]["actor_name"], ADMINISTRATOR);
    assert!(!lines[0]["request"].as_str().unwrap().is_empty());
    let page = browser.get("/audit?action=audit.export").await;
    assert_eq!(rows(&page), 1);
    page.says("events of the action credential.add");
    let all = browser.post("/audit/export", &[]).await;
    assert_eq!(all.text.lines().count(), usize::try_from(places(&browser.get("/audit").await)[0]).unwrap());
    assert_eq!(browser.post("/audit/export", &[("from", "yesterday")]).await.status, 400);
    assert_eq!(browser.get("/audit/export").await.status, 405);
}

#[tokio::test]
async fn other_settings_than_before_are_recorded_once() {
    let database = TestDatabase::sqlite();
    let url = format!("--database-url={}", database.url());
    let mut setup = Setup::sandbox().with(&url).with("--egress-pin=secret-host.example=127.0.0.1:1");
    let changes = async |server: &crate::support::server::Server| {
        let page = server.browser().get("/audit?action=settings.change").await;
        page.does_not_say("secret-host");
        page.does_not_say("sqlite:");
        (rows(&page), page)
    };
    let server = setup.start().await;
    let (first, page) = changes(&server).await;
    for name in
        ["--sandbox is true", "--listen is 127.0.0.1:0, was 127.0.0.1:8440", "--database-url is set (", "--egress-pin is set ("]
    {
        page.says(name);
    }
    server.stop().await;
    let server = setup.start().await;
    assert_eq!(changes(&server).await.0, first, "the same settings are no change");
    server.stop().await;
    setup.arguments = vec!["--sandbox".into(), url, "--log-level=debug".into()];
    let server = setup.start().await;
    let (second, page) = changes(&server).await;
    assert_eq!(second, first + 2);
    page.says("--log-level is debug, was info");
    page.says("--egress-pin is not set, was set (");
    server.stop().await;
}
