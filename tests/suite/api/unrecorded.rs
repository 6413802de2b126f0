//! What cannot be recorded does not happen, through the API either.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Program, credential, make_key, source};
use crate::{
    support::{database::TestDatabase, server::ADMINISTRATOR},
    web::{
        sessions::until,
        unrecorded::{refuse_events, rows, setup, take_events},
    },
};

/// A request to a route, that would do something.
struct Attempt {
    method: Method,
    route: &'static str,
    path: String,
    body: Value,
}

/// One for every route that changes or calls something, in an order in which all can be done.
async fn attempts(program: &Program) -> Vec<Attempt> {
    let (used, unused) = (program.add_credential("Used").await, program.add_credential("Unused").await);
    let resource = program.add_source("Agents", used.id()).await;
    let (used, unused) = (format!("/api/v1/credentials/{}", used.id()), format!("/api/v1/credentials/{}", unused.id()));
    let (resource, id) = (format!("/api/v1/resources/{}", resource.id()), resource.body["credential"].as_str().unwrap().to_owned());
    let attempt = |method, route, path: &str, body| Attempt { method, route, path: path.to_owned(), body };
    let values = json!({ "connector": "talkdesk", "fields": credential("")["fields"] });
    vec![
        attempt(Method::POST, "/api/v1/credentials", "/api/v1/credentials", credential("Third")),
        attempt(Method::PATCH, "/api/v1/credentials/{id}", &used, json!({ "description": "changed" })),
        attempt(Method::PATCH, "/api/v1/credentials/{id}", &used, json!({ "fields": { "authorization_prefix": "Bearer" } })),
        attempt(Method::POST, "/api/v1/credentials/{id}/test", &format!("{used}/test"), json!({})),
        attempt(Method::POST, "/api/v1/verify", "/api/v1/verify", values),
        attempt(Method::POST, "/api/v1/resources", "/api/v1/resources", source("Teams", &id)),
        attempt(Method::PATCH, "/api/v1/resources/{id}", &resource, json!({ "description": "changed" })),
        attempt(Method::POST, "/api/v1/resources/{id}/token", &format!("{resource}/token"), json!({})),
        attempt(Method::DELETE, "/api/v1/resources/{id}", &resource, json!({})),
        attempt(Method::DELETE, "/api/v1/credentials/{id}", &unused, json!({})),
    ]
}

async fn nothing_happens_that_cannot_be_recorded(database: TestDatabase) {
    let server = setup(&database).start().await;
    let program = Program::new(&server, make_key(&server, ADMINISTRATOR, "admin", None).await);
    let attempts = attempts(&program).await;
    // That a key was used is written behind the back of its first request.
    let used = "SELECT COUNT(*) FROM api_keys WHERE last_used_at IS NOT NULL";
    until(async || database.number(used).await == 1).await;
    for attempt in &attempts {
        // What was used so far is written now, and not in the middle.
        server.service.write_history().await.unwrap();
        let before = rows(&database).await;
        refuse_events(&database).await;
        let body = Some(&attempt.body);
        let what = format!("{} {}: {}", attempt.method, attempt.route, attempt.path);
        let failed = program.ask(attempt.method.clone(), &attempt.path, body, &[("if-match", "*")]).await;
        failed.problem(500, "internal");
        assert_eq!(rows(&database).await, before, "{what}");
        // The same does what it says as soon as events are taken again.
        take_events(&database).await;
        let done = program.ask(attempt.method.clone(), &attempt.path, body, &[("if-match", "*")]).await;
        assert!((200..300).contains(&done.status), "{what}: {}", done.text);
        assert_ne!(rows(&database).await, before, "{what}");
    }
    server.stop().await;
}

#[tokio::test]
async fn nothing_happens_that_cannot_be_recorded_on_sqlite() {
    nothing_happens_that_cannot_be_recorded(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn nothing_happens_that_cannot_be_recorded_on_postgres() {
    nothing_happens_that_cannot_be_recorded(TestDatabase::postgres().await).await;
}

#[test]
fn every_route_that_changes_something_is_tried() {
    let routes = include_str!("../../../src/web/api/routes.rs");
    let tried = include_str!("unrecorded.rs");
    let mut found = 0;
    for part in routes.split(".route(").skip(1) {
        let (route, handlers) = part.split_once('"').unwrap().1.split_once('"').unwrap();
        let handlers = handlers.split(".route(").next().unwrap();
        for (word, method) in [("post(", "POST"), ("patch(", "PATCH"), ("delete(", "DELETE"), ("put(", "PUT")] {
            // Named as a function of the router, not as a handler.
            if handlers.contains(&format!(" {word}")) || handlers.contains(&format!(".{word}")) {
                found += 1;
                assert!(tried.contains(&format!("Method::{method}, \"{route}\",")), "{method} {route} is not tried");
            }
        }
    }
    assert_eq!(found, 9, "the routes are read");
}
