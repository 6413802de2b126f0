//! Who may do what: every route of the router, asked by every role (and by nobody) of what is their own, shared with
//! them, open to all or foreign, on a running server. What comes back is compared with the table in
//! `docs/security.md`; a route without a row fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use keytile::domain::users::Role;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use crate::support::server::{Browser, Page, SESSION, Server, Setup};

/// The columns of the table, from left to right.
const WHO: [&str; 5] = ["nobody", "viewer", "operator", "editor", "administrator"];
/// Of what something is asked. `made`: a resource of one's own, with a credential that is shared for use.
const WHOSE: [&str; 6] = ["own", "made", "use", "manage", "open", "foreign"];
/// An id that nothing has.
pub(crate) const NOTHING: &str = "01890a5d-ac96-774b-bcce-0000000000ff";

/// A row of the table.
struct Rule {
    method: String,
    path: String,
    /// Of what; empty where it is not about one credential or resource.
    whose: Vec<String>,
    /// What is answered, by column.
    answers: Vec<String>,
}

/// Reads the table: every row whose first cell is a method and a path.
fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `GET /") || line.starts_with("| `POST /"));
    let rows = rows.filter(|line| !line.contains(" /api/v1/"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 2 + WHO.len(), "{line}");
        let (method, path) = cells[0].trim_matches('`').split_once(' ').unwrap();
        let whose: Vec<String> = cells[1].split(',').map(|word| word.trim().to_owned()).filter(|word| word != "–").collect();
        assert!(whose.iter().all(|word| WHOSE.contains(&word.as_str())), "{line}");
        let answers: Vec<String> = cells[2..].iter().map(|cell| (*cell).to_owned()).collect();
        let known = ["yes", "no", "absent", "sign in"];
        assert!(answers.iter().all(|answer| known.contains(&answer.as_str())), "{line}");
        Rule { method: method.into(), path: path.into(), whose, answers }
    })
    .collect()
}

/// Every route in the source of `web`, as `METHOD path`. Those of the API have a table and a test of their own
/// (`tests/suite/api/rights.rs`).
fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "api") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                // Without the unit tests, which have routes of their own.
                let source = fs::read_to_string(path).unwrap();
                routes.extend(routes_in(source.split("#[cfg(test)]").next().unwrap()));
            }
        }
    }
    routes
}

fn routes_in(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    // `.route()` is somebody's accessor.
    for part in source.split(".route(").skip(1).filter(|part| !part.starts_with(')')) {
        let (path, rest) = part.trim_start().strip_prefix('"').unwrap().split_once('"').unwrap();
        // To the parenthesis that ends `.route(`.
        let mut depth = 1;
        let end = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        });
        let handlers = &rest[..end.unwrap().0];
        let words: Vec<&str> =
            handlers.split('(').map(|word| word.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap()).collect();
        let methods: Vec<_> = [("get", "GET"), ("post", "POST")].into_iter().filter(|(name, _)| words.contains(name)).collect();
        assert!(!methods.is_empty(), "a route of another method, which this test does not know: {path}");
        found.extend(methods.into_iter().map(|(_, method)| format!("{method} {path}")));
    }
    found
}

/// What a form holds that reaches its handler and changes nothing that a later request needs. Where it is accepted,
/// the handler answers that a field is wrong, or does again what is done already.
fn form(path: &str, credential: &str) -> Vec<(&'static str, String)> {
    let fields: &[(&str, &str)] = match path {
        "/credentials/{id}/sharing" => &[("action", "add"), ("with", "nobody at all"), ("access", "use")],
        "/credentials/{id}/edit" | "/{kind}/new/{connector}/credentials/new" | "/{kind}/new/{connector}/credentials/discard" => {
            &[("draft", NOTHING)]
        }
        "/{kind}/new/{connector}/configure" => &[("form", NOTHING), ("action", "create")],
        "/settings/people/{id}" => &[("version", "1"), ("email", "x@example.com"), ("name", "X"), ("role", "viewer")],
        "/settings/second-factor/change" => &[("what", "renew")],
        "/settings/groups/{id}/members/remove" => &[("member", NOTHING)],
        "/settings/keys/new" => &[("form", NOTHING)],
        "/{kind}/{id}/policy" => &[("version", "1"), ("method", "GET"), ("prefixes", "/"), ("body_mib", "1"), ("retries", "0")],
        "/{kind}/{id}/credential" => return vec![("credential", credential.to_owned())],
        _ => &[],
    };
    fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// Somebody who asks.
struct Asker {
    who: &'static str,
    browser: Browser,
    /// A credential of each kind of sharing, and a resource that uses it.
    things: BTreeMap<&'static str, (String, String)>,
}

impl Asker {
    /// Sends the request of a rule, about the things of one kind of sharing, or about nothing.
    async fn ask(&mut self, rule: &Rule, whose: Option<&str>) -> Page {
        let nothing = (NOTHING.to_owned(), NOTHING.to_owned());
        let (credential, resource) = whose.map_or(&nothing, |whose| &self.things[whose]);
        let id = if rule.path.starts_with("/credentials/") { credential } else { resource };
        let path = rule.path.replace("{kind}", "sources").replace("{connector}", "talkdesk").replace("{id}", id);
        let mut path = path.replace("{name}", "nothing.css").replace("/{*path}", "/nothing");
        if !rule.whose.is_empty() && !rule.path.contains("{id}") {
            path.push_str(&format!("?credential={credential}"));
        }
        if rule.method == "GET" {
            return self.browser.get(&path).await;
        }
        let form = form(&rule.path, credential);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.browser.post(&path, &form).await
    }

    /// What the answer is in the words of the table.
    async fn answer(&mut self, rule: &Rule, whose: Option<&str>) -> &'static str {
        let nothing = if rule.whose.is_empty() { None } else { Some(self.ask(rule, None).await) };
        let page = self.ask(rule, whose).await;
        let location = page.location.as_deref().unwrap_or_default();
        if location.starts_with("/sign-in") {
            return "sign in";
        }
        if page.status == 403 {
            return "no";
        }
        if let (Some(nothing), Some(whose)) = (nothing, whose) {
            let (credential, resource) = &self.things[whose];
            let plain = |text: &str| text.replace(credential.as_str(), NOTHING).replace(resource.as_str(), NOTHING);
            let same = nothing.status == page.status
                && nothing.location.as_deref().map(&plain) == page.location.as_deref().map(&plain)
                && nothing.text == plain(&page.text)
                && without_ids(&nothing) == without_ids(&page);
            // Deleting twice has the same response as deleting once: anything else would reveal whether the object
            // existed.
            let deletes = rule.path == "/{kind}/{id}/delete" && rule.method == "POST";
            if same && !(deletes && self.is_gone(whose).await) {
                return "absent";
            }
        }
        match page.status {
            200 | 303 | 422 => "yes",
            404 => "absent",
            status => panic!("{} gets {status} from {} {} of {whose:?}:\n{}", self.who, rule.method, rule.path, page.text),
        }
    }

    /// True if the resource no longer exists for someone who saw it a moment ago.
    async fn is_gone(&mut self, whose: &str) -> bool {
        let resource = self.things[whose].1.clone();
        whose != "foreign" && self.browser.get(&format!("/sources/{resource}")).await.status == 404
    }
}

/// The headers that do not differ between any two answers.
fn without_ids(page: &Page) -> BTreeMap<String, String> {
    let kept =
        page.headers.iter().filter(|(name, _)| !["x-request-id", "date", "location", "content-length"].contains(&name.as_str()));
    kept.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

/// Changes the database behind Keytile's back, for what no page can be asked for.
pub(crate) async fn execute(setup: &Setup, statement: String) {
    let options = SqliteConnectOptions::new().filename(setup.data_dir().join("keytile.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}

pub(crate) fn blob(id: &str) -> String {
    format!("X'{}'", Uuid::try_parse(id).unwrap().simple())
}

/// Creates a source that uses a credential; returns its id.
pub(crate) async fn source(browser: &mut Browser, credential: &str, name: &str) -> String {
    let path = format!("/sources/new/talkdesk/configure?credential={credential}");
    let form = browser.get(&path).await.value("form");
    let typed = [("form", form.as_str()), ("name", name), ("method", "GET"), ("path", "/account"), ("action", "create")];
    let created = browser.post(&path, &typed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    created.location.unwrap().trim_start_matches("/sources/").split('?').next().unwrap().to_owned()
}

/// Everybody who asks, with what is theirs and what is not.
async fn askers(setup: &Setup, server: &Server) -> Vec<Asker> {
    let mut other = server.browser_as("other@example.com", Role::Editor).await;
    let mut askers = Vec::new();
    for who in WHO {
        let email = format!("{who}@example.org");
        let role = Role::parse(who);
        let browser = match role {
            Some(role) => server.browser_as(&email, role).await,
            None => {
                // With the cookie of a visitor, so that it is not for the want of a form token that a form is refused.
                let mut visitor = server.visitor();
                visitor.cookies.insert(SESSION.to_owned(), "v".repeat(43));
                visitor
            }
        };
        let user = format!("(SELECT id FROM users WHERE email = '{email}')");
        let mut things = BTreeMap::new();
        for whose in WHOSE {
            let credential = other.add_credential(&format!("{whose} of {who}")).await;
            let resource = source(&mut other, &credential, &format!("{whose} of {who}")).await;
            let (one, its) = (blob(&credential), blob(&resource));
            let share = |access: &str| {
                format!(
                    "INSERT INTO credential_shares (id, credential, connector, person, access)
                        SELECT id, id, connector, {user}, '{access}' FROM credentials WHERE id = {one}"
                )
            };
            let statement = match (whose, role) {
                (_, None) | ("foreign", _) => None,
                ("own", _) => Some(format!(
                    "UPDATE credentials SET owner = {user} WHERE id = {one}; UPDATE resources SET owner = {user} WHERE id = {its}"
                )),
                ("made", _) => Some(format!("{}; UPDATE resources SET owner = {user} WHERE id = {its}", share("use"))),
                ("open", _) => Some(format!("UPDATE credentials SET sharing = 'everyone' WHERE id = {one}")),
                (access, _) => Some(share(access)),
            };
            if let Some(statement) = statement {
                execute(setup, statement).await;
            }
            things.insert(whose, (credential, resource));
        }
        askers.push(Asker { who, browser, things });
    }
    askers
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let (routes, rules) = (routes(), rules());
    let written: BTreeSet<String> = rules.iter().map(|rule| format!("{} {}", rule.method, rule.path)).collect();
    let missing: Vec<_> = routes.difference(&written).collect();
    assert!(missing.is_empty(), "no row in docs/security.md, \"Who can do what\": {missing:#?}");
    let gone: Vec<_> = written.difference(&routes).collect();
    assert!(gone.is_empty(), "a row in docs/security.md and no such route: {gone:#?}");
    // A route about one credential or resource says what it answers of each kind of sharing.
    for route in routes.iter().filter(|route| route.contains("{id}")) {
        let kinds: BTreeSet<&str> = rules
            .iter()
            .filter(|rule| format!("{} {}", rule.method, rule.path) == *route)
            .flat_map(|rule| rule.whose.iter().map(String::as_str))
            .collect();
        let about_a_tile = route.contains(" /credentials/{id}") || route.contains(" /{kind}/{id}");
        let all = WHOSE.into_iter().filter(|whose| route.contains("{kind}") || *whose != "made").collect();
        assert!(!about_a_tile || kinds == all, "{route} says nothing of {:?}", all.difference(&kinds));
    }
}

#[tokio::test]
async fn every_role_gets_what_the_table_says() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut rules = rules();
    // What is deleted is deleted last, and who ends their session does so at the very end.
    rules.sort_by_key(|rule| (rule.path == "/sign-out", rule.path.ends_with("/delete") && rule.method == "POST"));
    let mut wrong = Vec::new();
    for mut asker in askers(&setup, &server).await {
        let column = WHO.iter().position(|who| *who == asker.who).unwrap();
        for rule in &rules {
            let kinds: Vec<Option<&str>> =
                if rule.whose.is_empty() { vec![None] } else { rule.whose.iter().map(|whose| Some(whose.as_str())).collect() };
            for whose in kinds {
                let (expected, answer) = (rule.answers[column].as_str(), asker.answer(rule, whose).await);
                if answer != expected {
                    wrong.push(format!(
                        "{} {} of {}: {} is answered `{answer}`, and the table says `{expected}`",
                        rule.method,
                        rule.path,
                        whose.unwrap_or("–"),
                        asker.who
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.stop().await;
}
