//! The description of the API: it is what is served, what is committed and what people read, and tells the truth of
//! answers.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Program, start};
use crate::support::server::Setup;

/// Where the committed copy is.
const COPY: &str = "docs/openapi.json";
/// Set to write it anew.
const UPDATE: &str = "UPDATE_OPENAPI";

#[tokio::test]
async fn the_committed_copy_is_what_is_served() {
    let server = Setup::new().start().await;
    let served = Program::new(&server, "").get("/api/openapi.json").await.is(200);
    assert_eq!(served.header("content-type"), "application/json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(COPY);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &served.text).unwrap();
    }
    let copy = fs::read_to_string(&path).unwrap_or_default();
    assert!(copy == served.text, "{COPY} is not what is served: run this test with {UPDATE}=1, and look at what changes");
    server.stop().await;
}

#[tokio::test]
async fn it_has_what_a_client_needs_to_know() {
    let server = Setup::new().start().await;
    let description = Program::new(&server, "").get("/api/openapi.json").await.is(200).body;
    assert_eq!(description["openapi"], "3.1.0");
    let mut operations = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let what = format!("{method} {path}");
            for member in ["operationId", "summary", "tags"] {
                assert!(!operation[member].is_null(), "{what} has no {member}");
            }
            let responses = operation["responses"].as_object().unwrap();
            for status in ["401", "403", "500", "default"] {
                assert!(responses.contains_key(status), "{what} says nothing of {status}");
            }
            for (status, response) in responses {
                let is_problem = response["content"].get("application/problem+json").is_some();
                assert_eq!(is_problem, !status.starts_with('2'), "{what}: {status}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(!parameter["description"].as_str().unwrap_or_default().is_empty(), "{what}: {parameter}");
            }
        }
    }
    assert_eq!(operations, super::keys::ROUTES.len());
    // Bodies that are sent may have no other members, and all that is said has words.
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        assert!(!schema["description"].as_str().unwrap_or_default().is_empty(), "{name} has no description");
        let is_sent =
            name.starts_with("New") || name.ends_with("Change") || ["UnsavedValues", "TokenRequest"].contains(&name.as_str());
        if is_sent {
            assert_eq!(schema["additionalProperties"], false, "{name}");
        }
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            let is_described = |schema: &Value| schema["description"].is_string() || schema["$ref"].is_string();
            let described = is_described(schema) || schema["oneOf"].as_array().is_some_and(|all| all.iter().any(is_described));
            assert!(described, "{name}.{member} has no description");
        }
    }
    server.stop().await;
}

/// The names of the members of a schema.
fn members(description: &Value, name: &str) -> Vec<String> {
    let schema = description["components"]["schemas"][name]["properties"].as_object().unwrap_or_else(|| panic!("no {name}"));
    schema.keys().cloned().collect()
}

#[tokio::test]
async fn answers_have_the_members_that_it_says() {
    let (_setup, server, program) = start().await;
    let description = program.get("/api/openapi.json").await.body;
    let credential = program.add_credential("Support").await;
    let resource = program.add_source("Agents", credential.id()).await;
    let token = program.post(&format!("/api/v1/resources/{}/token", resource.id()), &serde_json::json!({})).await;
    let tested = program.ask(reqwest::Method::POST, &format!("/api/v1/credentials/{}/test", credential.id()), None, &[]).await;
    let events = program.get("/api/v1/audit").await;
    for (schema, body) in [
        ("Credential", &credential.body),
        ("Resource", &resource.body),
        ("Endpoint", &resource.body["endpoint"]),
        ("EgressPolicy", &resource.body["policy"]),
        ("AccessToken", &token.body),
        ("Verification", &tested.body),
        ("Stage", &tested.body["stages"][0]),
        ("AuditEventList", &events.body),
        ("AuditEvent", &events.body["items"][0]),
        ("ConnectorList", &program.get("/api/v1/connectors").await.body),
        ("Connector", &program.get("/api/v1/connectors/talkdesk").await.body),
    ] {
        let mut told: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        let mut described = members(&description, schema);
        told.sort();
        described.sort();
        assert_eq!(told, described, "{schema}");
    }
    server.stop().await;
}

#[tokio::test]
async fn people_can_read_it() {
    let server = Setup::new().start().await;
    let description = Program::new(&server, "").get("/api/openapi.json").await.body;
    let page = server.visitor().get("/api/docs").await;
    assert_eq!(page.status, 200);
    for (path, item) in description["paths"].as_object().unwrap() {
        page.says(path);
        for operation in item.as_object().unwrap().values() {
            page.says(operation["summary"].as_str().unwrap());
        }
    }
    for name in description["components"]["schemas"].as_object().unwrap().keys() {
        page.says(&format!("id=\"schema-{name}\""));
    }
    // Every link within the page leads somewhere.
    for link in page.text.split("href=\"#").skip(1) {
        let to = link.split('"').next().unwrap();
        assert!(page.text.contains(&format!("id=\"{to}\"")), "{to}");
    }
    let mut signed_in = server.browser();
    signed_in.get("/api/docs").await.says("Sign out");
    server.stop().await;
}
