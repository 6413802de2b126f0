//! Who may do what through the API: every route is asked with keys of every scope, and of everything that is somebody's
//! own, shared or foreign, and the answers are compared with the table in `docs/security.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Program, credential, make_key};
pub(super) use crate::web::rights::NOTHING;
use crate::{
    support::server::{ADMINISTRATOR, Server, Setup},
    web::rights::{blob, execute, source},
};
use keytile::domain::users::Role;

/// The columns of the table: keys with one scope, and one with `admin` for another resource, which ask for what is their
/// account's own; and a key with `admin` that asks for other things.
const COLUMNS: [&str; 11] = [
    "resources:read",
    "tokens:issue",
    "proxy",
    "credentials:manage",
    "admin",
    "limited",
    "made",
    "use",
    "manage",
    "open",
    "foreign",
];

/// A row: a method, a path, and what is answered, by column.
struct Rule {
    method: String,
    path: String,
    answers: Vec<String>,
}

fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `") && line.contains(" /api/v1/"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (method, path) = cells[0].trim_matches('`').split_once(' ').unwrap();
        let answers: Vec<String> = cells[1..].iter().map(|cell| (*cell).to_owned()).collect();
        assert_eq!(answers.len(), COLUMNS.len(), "{line}");
        assert!(answers.iter().all(|answer| ["yes", "no", "absent", "–"].contains(&answer.as_str())), "{line}");
        Rule { method: method.into(), path: path.into(), answers }
    })
    .collect()
}

/// Every route, as `METHOD path`, from the description that is served.
async fn routes(server: &Server) -> BTreeSet<String> {
    let description = Program::new(server, "").get("/api/openapi.json").await.is(200);
    let paths = description.body["paths"].as_object().unwrap();
    let operations = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase())));
    operations.collect()
}

/// A body that reaches what decides, and changes nothing.
fn body(rule: &Rule) -> Option<Value> {
    match (rule.method.as_str(), rule.path.as_str()) {
        ("POST", "/api/v1/credentials") => Some(credential(" ")),
        ("POST", "/api/v1/resources") => Some(super::source("Agents", NOTHING)),
        ("POST", "/api/v1/verify") => Some(json!({ "connector": "talkdesk", "fields": {} })),
        ("PATCH", _) => Some(json!({})),
        _ => None,
    }
}

/// What is answered, in the words of the table.
async fn ask(program: &Program, rule: &Rule, (credential, resource): &(String, String)) -> &'static str {
    let id = if rule.path.starts_with("/api/v1/credentials/") { credential } else { resource };
    let path = rule.path.replace("{id}", if rule.path.contains("/connectors/") { "talkdesk" } else { id });
    // Someone who may delete is told that the revision has changed, so that every caller can be tried.
    let tag = if rule.method == "DELETE" { "\"0\"" } else { "*" };
    let method: Method = rule.method.parse().unwrap();
    let answer = program.ask(method, &path, body(rule).as_ref(), &[("if-match", tag)]).await;
    match answer.status {
        200 | 412 | 422 => "yes",
        403 => "no",
        404 => "absent",
        status => panic!("{status} from {} {path}: {}", rule.method, answer.text),
    }
}

/// A credential and a source that uses it, for each way in which things are somebody's.
async fn things(setup: &Setup, server: &Server) -> BTreeMap<&'static str, (String, String)> {
    let mut other = server.browser_as("other@example.com", Role::Editor).await;
    let mut things = BTreeMap::new();
    let user = format!("(SELECT id FROM users WHERE email = '{ADMINISTRATOR}')");
    for whose in ["own", "made", "use", "manage", "open", "foreign"] {
        let credential = other.add_credential(whose).await;
        let resource = source(&mut other, &credential, whose).await;
        let (one, its) = (blob(&credential), blob(&resource));
        let share = |access: &str| {
            format!(
                "INSERT INTO credential_shares (id, credential, connector, person, access)
                    SELECT id, id, connector, {user}, '{access}' FROM credentials WHERE id = {one}"
            )
        };
        let make = format!("UPDATE resources SET owner = {user} WHERE id = {its}");
        let statement = match whose {
            "own" => Some(format!("UPDATE credentials SET owner = {user} WHERE id = {one}; {make}")),
            "made" => Some(format!("{}; {make}", share("use"))),
            "open" => Some(format!("UPDATE credentials SET sharing = 'everyone' WHERE id = {one}")),
            "foreign" => None,
            access => Some(share(access)),
        };
        if let Some(statement) = statement {
            execute(setup, statement).await;
        }
        things.insert(whose, (credential, resource));
    }
    things
}

#[tokio::test]
async fn every_route_has_a_row_and_every_key_gets_what_it_says() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let rules = rules();
    let written: BTreeSet<String> = rules.iter().map(|rule| format!("{} {}", rule.method, rule.path)).collect();
    assert_eq!(written, routes(&server).await, "the rows in docs/security.md and the routes");
    let things = things(&setup, &server).await;
    let admin = Program::with(&server, "admin").await;
    let mut wrong = Vec::new();
    for (column, name) in COLUMNS.into_iter().enumerate() {
        let (program, whose) = match name {
            "limited" => {
                let other = things["manage"].1.as_str();
                (Program::new(&server, make_key(&server, ADMINISTRATOR, "admin", Some(&[other])).await), "own")
            }
            name if things.contains_key(name) => (admin.clone(), name),
            scope => (Program::with(&server, scope).await, "own"),
        };
        for rule in &rules {
            let expected = rule.answers[column].as_str();
            if expected == "–" {
                assert!(!rule.path.contains("{id}") || rule.path.contains("/connectors/"), "{}", rule.path);
                continue;
            }
            let answer = ask(&program, rule, &things[whose]).await;
            if answer != expected {
                wrong.push(format!("{} {} of {name}: `{answer}`, and the table says `{expected}`", rule.method, rule.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_foreign_answers_as_what_does_not_exist() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let things = things(&setup, &server).await;
    let admin = Program::with(&server, "admin").await;
    let nothing = (NOTHING.to_owned(), NOTHING.to_owned());
    for rule in rules().iter().filter(|rule| rule.path.contains("{id}") && !rule.path.contains("/connectors/")) {
        let mut told = Vec::new();
        for (credential, resource) in [&things["foreign"], &nothing] {
            let id = if rule.path.starts_with("/api/v1/credentials/") { credential } else { resource };
            let path = rule.path.replace("{id}", id);
            let headers = [("if-match", "*"), ("x-request-id", "the-same")];
            told.push(admin.ask(rule.method.parse().unwrap(), &path, body(rule).as_ref(), &headers).await.text);
        }
        assert_eq!(told[0], told[1], "{} {}", rule.method, rule.path);
    }
    server.stop().await;
}
