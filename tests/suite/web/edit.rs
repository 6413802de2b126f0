//! Editing a credential: what was verified takes over, and nothing else does. What is typed is not lost, what is stored
//! is not shown.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use keytile::domain::users::Role;
use reqwest::header;

use super::canary::find_none;
use crate::support::{
    fault_server::{FaultServer, Reply},
    https::pem,
    server::{ADMINISTRATOR, Browser, OVERLAY, PASSWORD, Page, Server, Setup, credential_in, good_values, replaced},
    tls::Authority,
};

const OVERLAY_OF_ANY: &str = "/sources/new/oauth2-client-credentials/credentials/new";
const OLD: &str = "canary-old-secret-4711";
const NEW: &str = "canary-new-secret-4712";

/// A Keytile, and a service of its own whose secrets are changed as one likes.
struct Desk {
    setup: Setup,
    service: FaultServer,
    elsewhere: FaultServer,
    accepted: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Desk {
    async fn set() -> Self {
        let authority = Authority::new();
        let accepted: Arc<Mutex<BTreeSet<&str>>> = Arc::new(Mutex::new([OLD].into()));
        let secrets = Arc::clone(&accepted);
        let service = FaultServer::start(authority.server(&["id.example", "api.example"]), move |seen| {
            if seen.target != "/token" {
                return Reply::json(200, serde_json::json!([{"record": "Amara Abara"}]));
            }
            let sent = seen.header("authorization").unwrap_or_default();
            let known = |secret: &&str| sent == format!("Basic {}", STANDARD.encode(format!("desk:{secret}")));
            match secrets.lock().unwrap().iter().any(known) {
                true => Reply::token(),
                false => Reply::json(401, serde_json::json!({"error": "invalid_client"})),
            }
        })
        .await;
        let elsewhere = FaultServer::start(authority.server(&["evil.example"]), |_| Reply::token()).await;
        let setup = Setup::sandbox();
        let file = setup.folder.path().join("ca.pem");
        std::fs::write(&file, pem(&authority.certificate())).unwrap();
        let mut setup = setup.with(format!("--extra-ca={}", file.display()));
        for (host, server) in [("id.example", &service), ("api.example", &service), ("evil.example", &elsewhere)] {
            setup = setup.with(format!("--egress-pin={host}={}", server.address));
        }
        Self { setup, service, elsewhere, accepted }
    }

    fn accept(&self, secrets: &[&'static str]) {
        *self.accepted.lock().unwrap() = secrets.iter().copied().collect();
    }

    /// How many tokens were asked for.
    fn asked(&self) -> usize {
        self.service.seen().iter().filter(|seen| seen.target == "/token").count()
    }

    /// Adds a credential of the service; returns its id.
    async fn add(&self, browser: &mut Browser) -> String {
        let draft = browser.get(OVERLAY_OF_ANY).await.value("draft");
        let saved = browser.post(OVERLAY_OF_ANY, &[&values(OLD)[..], &[("draft", &draft)]].concat()).await;
        assert_eq!(saved.status, 303, "{}", saved.text);
        credential_in(&saved.location.unwrap())
    }

    /// What is stored: name, version and status, and of each secret its state and whether there is something in it.
    async fn stored(&self) -> Vec<String> {
        let credentials = "SELECT name || ' ' || version || ' ' || status FROM credentials ORDER BY id";
        let secrets = "SELECT version || ' ' || state || ' ' || (length(ciphertext) > 0) FROM credential_secrets ORDER BY credential, version";
        [self.setup.texts(credentials).await, self.setup.texts(secrets).await].concat()
    }
}

fn values(secret: &str) -> Vec<(&str, &str)> {
    vec![
        ("name", "Desk"),
        ("description", ""),
        ("token_url", "https://id.example/token"),
        ("client_id", "desk"),
        ("client_secret", secret),
        ("api_base_url", "https://api.example"),
        ("client_authentication", "basic"),
    ]
}

fn edit_of(id: &str) -> String {
    format!("/credentials/{id}/edit")
}

/// Sends the form that a page shows, with these values.
async fn send(browser: &mut Browser, page: &Page, id: &str, values: &[(&str, &str)]) -> Page {
    let (draft, revision) = (page.value("draft"), page.value("form-revision"));
    browser.post(&edit_of(id), &[values, &[("draft", &draft), ("form-revision", &revision)]].concat()).await
}

/// Opens the form and sends it with these values.
async fn edit(browser: &mut Browser, id: &str, values: &[(&str, &str)]) -> Page {
    let page = browser.get(&edit_of(id)).await;
    assert_eq!(page.status, 200, "{}", page.text);
    send(browser, &page, id, values).await
}

#[track_caller]
fn done(page: &Page, id: &str, how: &str) {
    assert_eq!(page.location.as_deref(), Some(format!("/credentials/{id}?edited={how}").as_str()), "{}", page.text);
    assert_eq!(page.status, 303);
}

async fn source(browser: &mut Browser, credential: &str) -> String {
    let path = format!("/sources/new/oauth2-client-credentials/configure?credential={credential}");
    let form = browser.get(&path).await.value("form");
    let typed = [("form", form.as_str()), ("name", "Records"), ("method", "GET"), ("path", "/records"), ("action", "create")];
    let created = browser.post(&path, &typed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    created.location.unwrap().split('?').next().unwrap().to_owned()
}

async fn restarted(desk: &Desk, server: Server, browser: &Browser) -> (Server, Browser) {
    server.stop().await;
    let server = desk.setup.start().await;
    let browser = browser.moved_to(&server);
    (server, browser)
}

#[tokio::test]
async fn a_new_secret_takes_over_and_the_old_one_is_erased() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut browser = server.browser();
    let id = desk.add(&mut browser).await;
    let records = source(&mut browser, &id).await;
    let form = browser.get(&edit_of(&id)).await;
    form.says("Leave empty to keep the stored value");
    form.says("Edit “Desk”");
    let shown: Vec<_> = ["name", "token_url", "client_id", "client_secret", "api_base_url"].map(|field| form.value(field)).into();
    assert_eq!(shown, ["Desk", "https://id.example/token", "desk", "", "https://api.example/"]);
    browser.get(&format!("/credentials/{id}")).await.says(&format!("href=\"{}\"", edit_of(&id)));
    // Both work for a while, as they do when a secret is rotated with care.
    desk.accept(&[OLD, NEW]);
    let asked = desk.asked();
    let edited = send(&mut browser, &form, &id, &values(NEW)).await;
    done(&edited, &id, "verified");
    assert_eq!(desk.asked(), asked + 1);
    assert_eq!(desk.stored().await, ["Desk 2 verified", "1 retired 0", "2 active 1"]);
    assert_eq!(desk.setup.trail("credential.change").await, ["ana@example.com credential.change done Client Secret"]);
    let page = browser.get(edited.location.as_deref().unwrap()).await;
    page.says("Saved and verified.");
    // The token of the new secret is kept, and the source goes on with it.
    desk.accept(&[NEW]);
    browser.post(&format!("{records}/preview"), &[]).await.says("Success: 200");
    assert_eq!(desk.asked(), asked + 1);
    // Everything opens again after a restart, and the new secret is the one that is used.
    let (server, mut browser) = restarted(&desk, server, &browser).await;
    browser.post(&format!("{records}/preview"), &[]).await.says("Success: 200");
    let tested = browser.post(&format!("/credentials/{id}/test"), &[]).await;
    let tested = browser.get(&tested.location.unwrap()).await;
    tested.says("Test passed.");
    assert_eq!(desk.asked(), asked + 2);
    for page in [&form, &page, &tested] {
        find_none("a page", page.text.as_bytes(), &[OLD, NEW]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_new_name_makes_no_call_and_no_new_secret() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut browser = server.browser();
    let id = desk.add(&mut browser).await;
    let calls = desk.service.connections();
    let renamed = replaced(values(""), &[("name", "Front desk"), ("description", "Ask Ben first")]);
    let page = edit(&mut browser, &id, &renamed).await;
    done(&page, &id, "named");
    let page = browser.get(page.location.as_deref().unwrap()).await;
    page.says("The values are the same");
    page.says("Ask Ben first");
    done(&edit(&mut browser, &id, &renamed).await, &id, "same");
    assert_eq!(desk.service.connections(), calls);
    assert_eq!(desk.stored().await, ["Front desk 1 verified", "1 active 1"]);
    let said = "ana@example.com credential.change done Credential Name, Credential Description";
    assert_eq!(desk.setup.trail("credential.change").await, [said]);
    // A name that is taken, in whatever letters.
    let draft = browser.get(OVERLAY).await.value("draft");
    assert_eq!(browser.post(OVERLAY, &good_values("Support EU", &draft)).await.status, 303);
    let other = desk.add(&mut browser).await;
    let taken = edit(&mut browser, &other, &replaced(values(""), &[("name", "FRONT desk")])).await;
    assert_eq!(taken.status, 422);
    taken.says("already have a");
    taken.says("named “FRONT desk”");
    assert_eq!(taken.value("name"), "FRONT desk");
    let empty =
        send(&mut browser, &taken, &other, &replaced(values(""), &[("name", ""), ("token_url", "http://id.example")])).await;
    assert_eq!(empty.status, 422);
    empty.says("Check 2 fields.");
    // Another service may have the same name.
    done(&send(&mut browser, &empty, &other, &replaced(values(""), &[("name", "Support EU")])).await, &other, "named");
    server.stop().await;
}

#[tokio::test]
async fn a_masked_or_wrong_secret_changes_nothing() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut browser = server.browser();
    let id = desk.add(&mut browser).await;
    let before = desk.stored().await;
    let calls = desk.asked();
    for masked in ["••••••••••••", " ******** ", "•"] {
        let page = edit(&mut browser, &id, &values(masked)).await;
        assert_eq!(page.status, 422, "{}", page.text);
        page.says("Leave it empty to keep the stored one, or enter it whole.");
        page.says("href=\"#f-client_secret\"");
        assert_eq!(page.value("client_secret"), "");
        // What is masked does not wait in a draft either.
        done(&send(&mut browser, &page, &id, &values("")).await, &id, "same");
    }
    assert_eq!((desk.asked(), desk.stored().await), (calls, before.clone()));
    let wrong = edit(&mut browser, &id, &values(NEW)).await;
    assert_eq!(wrong.status, 422);
    wrong.says("invalid_client");
    wrong.says("Until new values work, the stored ones stay in use.");
    wrong.says("Kept from your last try");
    find_none("the page", wrong.text.as_bytes(), &[OLD, NEW]);
    assert_eq!(desk.stored().await, before);
    let said = "ana@example.com credential.verify failed not changed: the verification of the new values failed at oauth";
    assert_eq!(desk.setup.trail("credential.verify").await, [said]);
    // The form is brought back, and only here: not as a new credential, and not for another one.
    browser.get(&edit_of(&id)).await.says("Restored what you typed");
    browser.get(OVERLAY_OF_ANY).await.does_not_say("Restored");
    let other = server_other(&desk, &mut browser).await;
    browser.get(&edit_of(&other)).await.does_not_say("Restored");
    // What was kept is tried again, and works by now.
    desk.accept(&[NEW]);
    done(&send(&mut browser, &wrong, &id, &values("")).await, &id, "verified");
    browser.get(&edit_of(&id)).await.does_not_say("Restored");
    // Thrown away on purpose.
    let wrong = edit(&mut browser, &id, &values(OLD)).await;
    assert_eq!(wrong.status, 422);
    let discarded = browser.post(&format!("{}?discard=1", edit_of(&id)), &[("draft", &wrong.value("draft"))]).await;
    assert_eq!((discarded.status, discarded.location), (303, Some(edit_of(&id))));
    let page = browser.get(&edit_of(&id)).await;
    page.does_not_say("Restored");
    page.says("Leave empty to keep the stored value");
    server.stop().await;
}

/// Another credential of the same connector.
async fn server_other(desk: &Desk, browser: &mut Browser) -> String {
    let draft = browser.get(OVERLAY_OF_ANY).await.value("draft");
    let form = [&replaced(values(OLD), &[("name", "Other")])[..], &[("draft", &draft)]].concat();
    desk.accept(&[OLD]);
    let saved = browser.post(OVERLAY_OF_ANY, &form).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    credential_in(&saved.location.unwrap())
}

#[tokio::test]
async fn a_stored_secret_goes_only_where_it_was_verified() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut browser = server.browser();
    let id = desk.add(&mut browser).await;
    let calls = desk.asked();
    for (field, url) in [
        ("token_url", "https://evil.example/token"),
        ("api_base_url", "https://evil.example"),
        ("token_url", "https://id.example:8443/token"),
    ] {
        let page = edit(&mut browser, &id, &replaced(values(""), &[(field, url)])).await;
        assert_eq!(page.status, 422);
        page.says("Enter the Client Secret again: the stored one was verified with another address");
        page.does_not_say("Leave empty to keep the stored value");
        // However often it is sent.
        assert_eq!(send(&mut browser, &page, &id, &replaced(values(""), &[(field, url)])).await.status, 422);
        // Back where it was: nothing has to be typed.
        done(&send(&mut browser, &page, &id, &values("")).await, &id, "same");
    }
    assert_eq!((desk.asked(), desk.elsewhere.connections()), (calls, 0));
    // The path is not the origin.
    let page = edit(&mut browser, &id, &replaced(values(""), &[("api_base_url", "https://api.example/v2")])).await;
    done(&page, &id, "verified");
    // The same of an account whose domain is the connector's.
    let desk_of = browser.add_credential("Support EU").await;
    let elsewhere = |secret| replaced(good_values("Support EU", ""), &[("account_name", "acme-sales"), ("client_secret", secret)]);
    let typed = |secret| elsewhere(secret).into_iter().filter(|(name, _)| *name != "draft").collect::<Vec<_>>();
    let page = edit(&mut browser, &desk_of, &typed("")).await;
    assert_eq!(page.status, 422);
    page.says("Enter the Client Secret again");
    let page = send(&mut browser, &page, &desk_of, &typed("sandbox-secret")).await;
    done(&page, &desk_of, "verified");
    browser.get(&format!("/credentials/{desk_of}")).await.says("https://acme-sales.talkdeskid.com/oauth/token");
    server.stop().await;
}

#[tokio::test]
async fn of_two_windows_one_wins_and_the_other_loses_nothing() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut browser = server.browser();
    let id = desk.add(&mut browser).await;
    let (first, second) = (browser.get(&edit_of(&id)).await, browser.get(&edit_of(&id)).await);
    done(&send(&mut browser, &first, &id, &replaced(values(""), &[("name", "First")])).await, &id, "named");
    let late = send(&mut browser, &second, &id, &replaced(values(""), &[("description", "Of the second window")])).await;
    assert_eq!(late.status, 409);
    late.says("This credential changed while you were editing");
    late.says("Of the second window");
    assert_eq!(late.value("name"), "Desk");
    done(&send(&mut browser, &late, &id, &replaced(values(""), &[("description", "Of the second window")])).await, &id, "named");
    // At the same moment, each with a secret that works.
    desk.accept(&[OLD, NEW]);
    let page = browser.get(&edit_of(&id)).await;
    let revision = page.value("form-revision");
    let (mut one, mut other) = (browser.clone(), browser.clone());
    let form = |name, draft| [&replaced(values(NEW), &[("name", name)])[..], &[("draft", draft)]].concat();
    let drafts = ["01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"];
    let (mut left, mut right) = (form("Left", drafts[0]), form("Right", drafts[1]));
    left.push(("form-revision", &revision));
    right.push(("form-revision", &revision));
    let path = edit_of(&id);
    let (one, other) = tokio::join!(one.post(&path, &left), other.post(&path, &right));
    let mut ended = [one.status, other.status];
    ended.sort_unstable();
    assert_eq!(ended, [303, 409], "{} {}", one.text, other.text);
    // The same form sent twice did what it says, both times.
    let (winner, location) = if one.status == 303 { (left, one.location) } else { (right, other.location) };
    assert_eq!(location.as_deref(), Some(format!("/credentials/{id}?edited=verified").as_str()));
    assert_eq!(browser.post(&path, &winner).await.status, 303);
    assert_eq!(desk.setup.texts("SELECT CAST(version AS TEXT) FROM credentials").await, ["2"]);
    server.stop().await;
}

#[tokio::test]
async fn only_who_manages_a_credential_edits_it() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut ana = server.browser();
    let mut ben = server.browser_as("ben@example.org", Role::Editor).await;
    let id = desk.add(&mut ana).await;
    let before = desk.stored().await;
    let form = ana.get(&edit_of(&id)).await;
    assert_eq!(ben.get(&edit_of(&id)).await.status, 404);
    assert_eq!(send(&mut ben, &form, &id, &replaced(values(""), &[("name", "Ben's")])).await.status, 404);
    let share = |access| [("action", "add"), ("with", "ben@example.org"), ("access", access)];
    assert_eq!(ana.post(&format!("/credentials/{id}/sharing"), &share("use")).await.status, 303);
    assert_eq!(ben.get(&edit_of(&id)).await.status, 403);
    ben.get(&format!("/credentials/{id}")).await.does_not_say("/edit");
    assert_eq!(send(&mut ben, &form, &id, &replaced(values(""), &[("name", "Ben's")])).await.status, 403);
    let refused = desk.setup.trail("access.refused").await;
    assert!(refused.iter().any(|line| line.contains("editing a credential: it is shared for use only")), "{refused:?}");
    assert_eq!(desk.stored().await, before);
    assert_eq!(ana.post(&format!("/credentials/{id}/sharing"), &share("manage")).await.status, 303);
    done(&edit(&mut ben, &id, &replaced(values(""), &[("name", "By Ben")])).await, &id, "named");
    // A manager is told whose names they are.
    let other = server_other(&desk, &mut ana).await;
    let taken = edit(&mut ben, &id, &replaced(values(""), &[("name", "Other")])).await;
    taken.says("Its owner, ");
    // Deleted while somebody typed.
    let form = ana.get(&edit_of(&other)).await;
    assert_eq!(ana.post(&format!("/credentials/{other}/delete"), &[]).await.status, 303);
    assert_eq!(send(&mut ana, &form, &other, &replaced(values(""), &[("name", "Gone")])).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn script_is_told_each_stage_and_what_came_of_it() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut browser = server.browser();
    let id = desk.add(&mut browser).await;
    let page = browser.get(&edit_of(&id)).await;
    let (draft, revision) = (page.value("draft"), page.value("form-revision"));
    for (secret, last) in [(NEW, "again"), (OLD, "saved")] {
        let form = [&values(secret)[..], &[("draft", &draft), ("form-revision", &revision)]].concat();
        let request = browser.form(&edit_of(&id), &form).header(header::ACCEPT, "application/x-ndjson");
        let answer = browser.send(request).await;
        assert_eq!(answer.status, 200);
        let lines: Vec<serde_json::Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().any(|line| line["stage"] == "tls" && line["outcome"] == "passed"), "{}", answer.text);
        let end = lines.last().unwrap();
        assert_eq!(end["outcome"], last, "{}", answer.text);
        match last {
            "saved" => assert_eq!(end["location"], format!("/credentials/{id}?edited=verified")),
            _ => assert!(end["html"].as_str().unwrap().contains("invalid_client"), "{}", answer.text),
        }
        find_none("the lines", answer.text.as_bytes(), &[OLD, NEW]);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_was_typed_outlives_the_session() {
    let desk = Desk::set().await;
    let server = desk.setup.start().await;
    let mut browser = server.signed_in().await;
    let id = desk.add(&mut browser).await;
    let page = browser.get(&edit_of(&id)).await;
    let before = desk.stored().await;
    desk.setup.clock.advance(Duration::from_secs(12 * 3_600));
    let out = send(&mut browser, &page, &id, &replaced(values(NEW), &[("name", "Typed too late")])).await;
    let location = out.location.unwrap();
    assert_eq!((out.status, location.as_str()), (303, format!("/sign-in?next={}", edit_of(&id)).as_str()));
    assert_eq!(desk.stored().await, before);
    let next = browser.get(&location).await.value("next");
    let landed = browser.post("/sign-in", &[("email", ADMINISTRATOR), ("password", PASSWORD), ("next", &next)]).await;
    assert_eq!(landed.location, Some(edit_of(&id)));
    let restored = browser.get(&edit_of(&id)).await;
    restored.says("Restored what you typed");
    restored.says("Kept from your last try");
    assert_eq!(restored.value("name"), "Typed too late");
    find_none("the page", restored.text.as_bytes(), &[OLD, NEW]);
    server.stop().await;
}
