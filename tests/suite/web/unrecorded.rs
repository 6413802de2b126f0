//! What cannot be recorded does not happen: with an audit trail that takes no event, every form is sent, and each
//! answers with an error, changes nothing and says so once in the log.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use keytile::crypto::keyring::Keyring;
use sqlx::{AssertSqlSafe, Row};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

use crate::support::{
    database::TestDatabase,
    server::{ADMINISTRATOR, Browser, OVERLAY, PASSWORD, Server, Setup, good_values},
};

/// The addresses that take a form and record nothing, and why.
const EXCEPTIONS: [(&str, &str); 9] = [
    ("/settings/second-factor", "needs a code of the moment; tests/suite/store/recorded.rs reads that it is recorded"),
    ("/settings/second-factor/change", "the same"),
    ("/settings/people/{id}/remove-second-factor", "the same"),
    ("/sign-in/code", "the same"),
    ("/password", "whoever uses a link is not signed in; the same"),
    ("/{kind}/new/{connector}/credentials/discard", "drops what somebody typed and did not save"),
    ("/{kind}/{id}/contract", "the old address of a form: only leads to the new one"),
    ("/setup", "there is somebody already; tried by itself"),
    ("/sign-in", "whoever is signed in needs none; tried by itself"),
];

/// What a form is sent to, and what is in it.
pub(crate) struct Form {
    pub(crate) route: &'static str,
    pub(crate) address: String,
    pub(crate) fields: Vec<(String, String)>,
}

fn form(route: &'static str, address: impl Into<String>, fields: &[(&str, &str)]) -> Form {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Form { route, address: address.into(), fields }
}

/// A form for every address that takes one, each of which would do something.
pub(crate) async fn forms(browser: &mut Browser) -> Vec<Form> {
    let (used, unused) = (browser.add_credential("Used").await, browser.add_credential("Unused").await);
    let configure = format!("/sources/new/talkdesk/configure?credential={used}");
    let id = browser.get(&configure).await.value("form");
    let fields = [("form", id.as_str()), ("name", "Agents"), ("description", ""), ("endpoint", "Users")];
    let create = |action| [&fields[..], &[("action", action)]].concat();
    let created = browser.post(&configure, &create("create")).await.location.unwrap();
    let source = created.split('?').next().unwrap().to_owned();
    let next = browser.get(&configure).await.value("form");
    let again = [("form", next.as_str()), ("name", "Teams"), ("description", ""), ("endpoint", "Users"), ("action", "create")];
    let draft = browser.get(OVERLAY).await.value("draft");
    // People, a group, a key and a second session to do something to.
    for email in ["ben@example.com", "dora@example.com"] {
        let typed = [("email", email), ("name", "Ben"), ("role", "editor")];
        assert!(browser.post("/settings/people", &typed).await.status < 400);
    }
    browser.post("/settings/groups", &[("name", "Exporters")]).await;
    let ben = id_on(browser, "/settings/people", "/settings/people/", "ben@example.com").await;
    let dora = id_on(browser, "/settings/people", "/settings/people/", "dora@example.com").await;
    let group = id_on(browser, "/settings/groups", "/settings/groups/", "Exporters").await;
    let version = browser.get(&format!("/settings/people/{ben}")).await.value("version");
    assert_eq!(browser.post(&format!("/settings/groups/{group}/members"), &[("email", "dora@example.com")]).await.status, 303);
    assert_eq!(browser.post(&format!("/settings/people/{dora}/disable"), &[]).await.status, 303);
    let key = |form: String, name: &'static str| {
        vec![
            ("form", form),
            ("owner", ADMINISTRATOR.to_owned()),
            ("name", name.to_owned()),
            ("scope", "proxy".to_owned()),
            ("expires", "30".to_owned()),
        ]
    };
    let first = key(browser.get("/settings/keys/new").await.value("form"), "First");
    let first: Vec<(&str, &str)> = first.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let made = browser.post("/settings/keys/new", &first).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let made = id_on(browser, "/settings/keys", "/settings/keys/", "First").await;
    let second = key(browser.get("/settings/keys/new").await.value("form"), "Second");
    let second: Vec<(&str, &str)> = second.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut elsewhere = browser.clone();
    elsewhere.cookies.clear();
    elsewhere.get("/sign-in").await;
    let signed_in = elsewhere.post("/sign-in", &[("email", ADMINISTRATOR), ("password", PASSWORD)]).await;
    assert_eq!(signed_in.status, 303, "{}", signed_in.text);
    let sessions = browser.get("/settings/sessions").await.text;
    let session = sessions.split("/settings/sessions/").filter_map(|part| part.split_once("/end\"")).map(|(id, _)| id.to_owned());
    let session = session.last().unwrap();
    let people = format!("/settings/people/{ben}");
    let groups = format!("/settings/groups/{group}");
    let edit = format!("/credentials/{used}/edit");
    let shown = browser.get(&edit).await;
    let (edited, revision) = (shown.value("draft"), shown.value("form-revision"));
    let edited = [&good_values("Used", &edited)[..], &[("form-revision", revision.as_str())]].concat();
    let passwords = [("old_password", PASSWORD), ("new_password", "another kiln, glazed 78 Wednesday")];
    vec![
        form("/credentials/{id}/edit", &edit, &edited),
        form("/credentials/{id}/sharing", format!("/credentials/{used}/sharing"), &[("action", "open"), ("sharing", "everyone")]),
        form("/settings/people", "/settings/people", &[("email", "carl@example.com"), ("name", "Carl"), ("role", "viewer")]),
        form(
            "/settings/people/{id}",
            &people,
            &[("version", &version), ("email", "ben@example.com"), ("name", "Benjamin"), ("role", "editor")],
        ),
        form("/settings/people/{id}/reset-password", format!("{people}/reset-password"), &[]),
        form("/settings/people/{id}/end-sessions", format!("{people}/end-sessions"), &[]),
        form("/settings/people/{id}/hand-over", format!("{people}/hand-over"), &[("to", ADMINISTRATOR)]),
        form("/settings/people/{id}/disable", format!("{people}/disable"), &[]),
        form("/settings/people/{id}/enable", format!("/settings/people/{dora}/enable"), &[]),
        form("/settings/groups", "/settings/groups", &[("name", "Importers")]),
        form("/settings/groups/{id}", &groups, &[("name", "Those who export")]),
        form("/settings/groups/{id}/members", format!("{groups}/members"), &[("email", ADMINISTRATOR)]),
        form("/settings/groups/{id}/members/remove", format!("{groups}/members/remove"), &[("member", &dora)]),
        form("/settings/groups/{id}/delete", format!("{groups}/delete"), &[]),
        form("/settings/keys/new", "/settings/keys/new", &second),
        form("/settings/keys/{id}/revoke", format!("/settings/keys/{made}/revoke"), &[]),
        form("/settings/name", "/settings/name", &[("name", "Ana Maria")]),
        form("/settings/sessions/{id}/end", format!("/settings/sessions/{session}/end"), &[]),
        form("/settings/sessions/end-others", "/settings/sessions/end-others", &[]),
        form("/settings/password", "/settings/password", &passwords),
        form("/{kind}/new/{connector}/credentials/new", OVERLAY, &good_values("Third", &draft)),
        form("/credentials/{id}/test", format!("/credentials/{used}/test"), &[]),
        form("/{kind}/new/{connector}/configure", &configure, &create("test")),
        form("/{kind}/new/{connector}/configure", &configure, &again),
        form("/{kind}/{id}/preview", format!("{source}/preview"), &[]),
        form(
            "/{kind}/{id}/policy",
            format!("{source}/policy"),
            &[("version", "1"), ("method", "GET"), ("prefixes", "/users"), ("body_mib", "1"), ("per_minute", ""), ("retries", "0")],
        ),
        form("/{kind}/{id}/credential", format!("{source}/credential"), &[("credential", &unused)]),
        form("/audit/export", "/audit/export", &[]),
        form("/{kind}/{id}/delete", format!("{source}/delete"), &[]),
        form("/credentials/{id}/delete", format!("/credentials/{unused}/delete"), &[]),
        form("/sign-out", "/sign-out", &[]),
    ]
}

/// The id in the first address of this kind on a page whose own page has these words.
async fn id_on(browser: &mut Browser, page: &str, before: &str, words: &str) -> String {
    let list = browser.get(page).await.text;
    for part in list.split(before).skip(1) {
        let Some(id) = part.get(..36).filter(|id| id.split('-').count() == 5) else { continue };
        if browser.get(&format!("{before}{id}")).await.text.contains(words) {
            return id.to_owned();
        }
    }
    panic!("no {words} on {page}:\n{list}");
}

#[test]
fn every_address_that_takes_a_form_is_tried() {
    let router = include_str!("../../../src/web/router.rs");
    let tried = include_str!("unrecorded.rs");
    for line in router.lines().filter(|line| line.contains("post(")) {
        let route = line.split('"').nth(1).unwrap();
        let excepted = EXCEPTIONS.iter().any(|(exception, _)| *exception == route);
        assert!(excepted || tried.contains(&format!("\"{route}\",")), "no form is sent to {route}");
    }
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// What was logged since the last time.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

/// All rows of all tables but for drafts, which keep what was typed.
pub(crate) async fn rows(database: &TestDatabase) -> String {
    let mut all = String::new();
    if database.is_postgres() {
        let mut connection = database.postgres_connection().await;
        let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
        for table in sqlx::query(tables).fetch_all(&mut connection).await.unwrap() {
            let table: String = table.get(0);
            if table == "drafts" {
                continue;
            }
            let rows = format!("SELECT coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '') FROM {table} t");
            let rows = sqlx::query(AssertSqlSafe(rows)).fetch_one(&mut connection).await.unwrap();
            all.push_str(&format!("{table}:\n{}\n", rows.get::<String, _>(0)));
        }
        return all;
    }
    let mut connection = database.sqlite_connection().await;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1";
    for table in sqlx::query(tables).fetch_all(&mut connection).await.unwrap() {
        let table: String = table.get(0);
        if table == "drafts" {
            continue;
        }
        let columns = format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')");
        let columns = sqlx::query(AssertSqlSafe(columns)).fetch_all(&mut connection).await.unwrap();
        let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
        let rows = format!("SELECT {} AS line FROM {table} ORDER BY 1", columns.join(" || ',' || "));
        let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap();
        let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        all.push_str(&format!("{table}:\n{}\n", lines.join("\n")));
    }
    all
}

/// From now on no event can be recorded.
pub(crate) async fn refuse_events(database: &TestDatabase) {
    let trigger = if database.is_postgres() {
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no event is taken'; END $$ LANGUAGE plpgsql;
         CREATE TRIGGER refuse BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse()"
    } else {
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no event is taken'); END"
    };
    database.execute(trigger).await.unwrap();
}

pub(crate) async fn take_events(database: &TestDatabase) {
    let on = if database.is_postgres() { " ON audit_events" } else { "" };
    database.execute(&format!("DROP TRIGGER refuse{on}")).await.unwrap();
}

pub(crate) fn setup(database: &TestDatabase) -> Setup {
    let setup = Setup::sandbox().with(format!("--database-url={}", database.url()));
    let keyring = setup.folder.path().join("keyring-of-this-test");
    Keyring::create(&keyring).unwrap();
    setup.with(format!("--keyring={}", keyring.display()))
}

async fn nothing_happens_that_cannot_be_recorded(database: TestDatabase) {
    let log = Log::default();
    let sink = log.clone();
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || sink.clone());
    // While there is one subscriber only, whether anybody wants an event is asked of the thread that comes to it
    // first, which may be that of another test. A second one has all be asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_max_level(LevelFilter::ERROR).finish());
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(LevelFilter::WARN).with(lines));
    let server: Server = setup(&database).start().await;
    let mut browser = server.browser();
    let forms = forms(&mut browser).await;
    refuse_events(&database).await;
    // What was used so far is written now, and not in the middle.
    server.service.write_history().await.unwrap();
    let before = rows(&database).await;
    assert!(before.len() > 2_000 && before.contains("audit_events:"), "{before}");
    let sent = |form: &Form| form.fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>();
    for form in &forms {
        log.take();
        let fields = sent(form);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = browser.post(&form.address, &fields).await;
        assert_eq!(page.status, 500, "{}: {}", form.route, page.text);
        page.does_not_say("no event is taken");
        assert_eq!(rows(&database).await, before, "{}", form.route);
        let said = log.take();
        assert_eq!(said.lines().count(), 1, "{}: {said}", form.route);
        assert!(said.contains("ERROR") && said.contains("no event is taken"), "{}: {said}", form.route);
    }
    // A refusal that cannot be recorded is an error too, and refuses all the same.
    let forged = browser.form("/sign-out", &[]).body("form_token=forged");
    assert_eq!(browser.send(forged).await.status, 500);
    assert_eq!(rows(&database).await, before);
    // The same forms do what they say as soon as events are taken again.
    take_events(&database).await;
    for form in &forms {
        let before = rows(&database).await;
        let fields = sent(form);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = browser.post(&form.address, &fields).await;
        assert!(page.status == 303 || page.status == 200, "{}: {} {}", form.route, page.status, page.text);
        assert_ne!(rows(&database).await, before, "{}", form.route);
    }
    server.stop().await;
}

async fn nobody_is_set_up_who_cannot_be_recorded(database: TestDatabase) {
    let server = setup(&database).start_without_accounts().await;
    let mut browser = server.visitor();
    let path = format!("/setup?{}", server.setup.as_ref().unwrap().query().unwrap());
    let token = browser.get(&path).await.value("token");
    let typed =
        [("token", token.as_str()), ("email", "ana@example.com"), ("name", "Ana"), ("password", "kiln glaze 77 Tuesday rain")];
    refuse_events(&database).await;
    let before = rows(&database).await;
    assert_eq!(browser.post("/setup", &typed).await.status, 500);
    assert_eq!(rows(&database).await, before);
    take_events(&database).await;
    let done = browser.post("/setup", &typed).await;
    assert_eq!(done.status, 303, "{}", done.text);
    server.stop().await;
}

// One thread each, so that the log of a test is its own.
#[tokio::test]
async fn over_sqlite_nothing_happens_that_cannot_be_recorded() {
    nothing_happens_that_cannot_be_recorded(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn over_postgres_nothing_happens_that_cannot_be_recorded() {
    nothing_happens_that_cannot_be_recorded(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn nobody_is_made_administrator_who_cannot_be_recorded() {
    nobody_is_set_up_who_cannot_be_recorded(TestDatabase::sqlite()).await;
    nobody_is_set_up_who_cannot_be_recorded(TestDatabase::postgres().await).await;
}
