//! Sources and destinations through the API.

use serde_json::{Value, json};

use super::{source, start};

#[tokio::test]
async fn a_resource_is_created_with_what_its_kind_suggests() {
    let (_setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let created = program.add_source("Agents", credential.id()).await;
    let path = format!("/api/v1/resources/{}", created.id());
    assert_eq!(created.header("location"), path);
    let read = program.get(&path).await.is(200);
    assert_eq!((&read.body, read.etag()), (&created.body, created.etag()));
    assert_eq!(read.body["endpoint"], json!({ "method": "GET", "path": "/users", "query": [] }));
    assert_eq!(
        read.body["contract"],
        json!({ "methods": ["GET"], "prefixes": ["/"], "body_mib": 1, "per_minute": null, "retries": 0 })
    );
    assert_eq!((&read.body["connector"], &read.body["credential_name"]), (&json!("talkdesk"), &json!("Support")));
    let mut wanted = source("Contacts", credential.id());
    wanted["kind"] = json!("destination");
    wanted["endpoint"] = json!({ "method": "POST", "path": "/contacts", "query": [{ "name": "a", "value": "b" }] });
    wanted["contract"] = json!({ "methods": ["POST"], "prefixes": ["/contacts"], "per_minute": 60 });
    let destination = program.post("/api/v1/resources", &wanted).await.is(201);
    assert_eq!(
        destination.body["contract"],
        json!({ "methods": ["POST"], "prefixes": ["/contacts"], "body_mib": 100, "per_minute": 60, "retries": 0 })
    );
    assert_eq!(destination.body["endpoint"]["query"], json!([{ "name": "a", "value": "b" }]));
    let offered = json!({ "kind": "source", "name": "Offered", "credential": credential.id(), "endpoint": { "offer": "Users" } });
    assert_eq!(program.post("/api/v1/resources", &offered).await.is(201).body["endpoint"]["path"], "/users");
    // It is the same one that people see.
    server.browser().get(&format!("/destinations/{}", destination.id())).await.says("Contacts");
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_resource_is_told_by_its_member() {
    let (_setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let good = source("Agents", credential.id());
    program.post("/api/v1/resources", &good).await.is(201);
    for (member, value, wrong) in [
        ("name", json!("agents"), ("name", "taken")),
        ("name", json!(""), ("name", "invalid")),
        ("kind", json!("both"), ("kind", "invalid")),
        ("credential", json!(super::rights::NOTHING), ("credential", "invalid")),
        ("credential", json!("x"), ("credential", "invalid")),
        ("endpoint", json!({ "method": "GET", "path": "users" }), ("endpoint.path", "invalid")),
        ("endpoint", json!({ "method": "TRACE", "path": "/users" }), ("endpoint.method", "invalid")),
        ("endpoint", json!({ "offer": "Nothing" }), ("endpoint.offer", "invalid")),
        ("endpoint", json!({ "path": "/users" }), ("endpoint.method", "invalid")),
        ("contract", json!({ "methods": [] }), ("contract.methods", "invalid")),
        ("contract", json!({ "prefixes": ["/a", "../b"] }), ("contract.prefixes", "invalid")),
        ("contract", json!({ "prefixes": ["/a\n/b"] }), ("contract.prefixes", "invalid")),
        ("contract", json!({ "body_mib": 1048577 }), ("contract.body_mib", "invalid")),
        ("contract", json!({ "per_minute": 0 }), ("contract.per_minute", "invalid")),
        ("contract", json!({ "retries": 6 }), ("contract.retries", "invalid")),
        ("owner", json!("x"), ("owner", "unknown")),
    ] {
        let mut body = good.clone();
        if member != "name" {
            body["name"] = json!("Other");
        }
        body[member] = value;
        program.post("/api/v1/resources", &body).await.wrong_in(422, &[wrong]);
    }
    assert_eq!(program.get("/api/v1/resources").await.body["items"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_change_is_one_step_and_one_event() {
    let (setup, server, program) = start().await;
    let (first, second) = (program.add_credential("First").await, program.add_credential("Second").await);
    let created = program.add_source("Agents", first.id()).await;
    program.add_source("Taken", first.id()).await;
    let path = format!("/api/v1/resources/{}", created.id());
    let change = json!({
        "name": "People", "description": "All of them", "credential": second.id(),
        "endpoint": { "path": "/people" }, "contract": { "prefixes": ["/people"], "retries": 2 },
    });
    let changed = program.patch(&path, created.etag(), &change).await.is(200);
    assert_eq!(
        (&changed.body["name"], &changed.body["description"], &changed.body["credential"], &changed.body["version"]),
        (&json!("People"), &json!("All of them"), &json!(second.id()), &json!(2))
    );
    assert_eq!(changed.body["endpoint"], json!({ "method": "GET", "path": "/people", "query": [] }));
    assert_eq!(
        changed.body["contract"],
        json!({ "methods": ["GET"], "prefixes": ["/people"], "body_mib": 1, "per_minute": null, "retries": 2 })
    );
    let events = "SELECT detail FROM audit_events WHERE action = 'resource.change'";
    let words = "name, description, credential, endpoint, allows GET, HEAD, no limit, 2 retries";
    assert_eq!(setup.texts(events).await, [words]);
    // The same again changes nothing more.
    let again = program.patch(&path, "*", &change).await.is(200);
    assert_eq!(again.etag(), changed.etag());
    assert_eq!(setup.texts(events).await.len(), 1);
    for (body, wrong) in [
        (json!({ "name": "taken" }), ("name", "taken")),
        (json!({ "credential": super::rights::NOTHING }), ("credential", "invalid")),
        (json!({ "name": "New", "endpoint": { "path": "x" } }), ("endpoint.path", "invalid")),
        (json!({ "kind": "destination" }), ("kind", "unknown")),
    ] {
        program.patch(&path, "*", &body).await.wrong_in(422, &[wrong]);
    }
    assert_eq!(program.get(&path).await.body, changed.body);
    // The bound goes away with null, and stays without it.
    program.patch(&path, "*", &json!({ "contract": { "per_minute": 5 } })).await.is(200);
    let kept = program.patch(&path, "*", &json!({ "contract": { "retries": 0 } })).await.is(200);
    assert_eq!(kept.body["contract"]["per_minute"], 5);
    let free = program.patch(&path, "*", &json!({ "contract": { "per_minute": null } })).await.is(200);
    assert_eq!(free.body["contract"]["per_minute"], Value::Null);
    server.stop().await;
}
