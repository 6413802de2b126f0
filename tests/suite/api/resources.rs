//! Sources and destinations through the API.

use keytile::{
    crypto::{envelope::Place, keyring::Keyring},
    domain::connectors::ConnectorId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{source, start};
use crate::{
    support::server::Setup,
    web::rights::{blob, execute},
};

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
        read.body["policy"],
        json!({ "methods": ["GET"], "prefixes": ["/"], "body_mib": 1, "per_minute": null, "retries": 0 })
    );
    assert_eq!((&read.body["connector"], &read.body["credential_name"]), (&json!("talkdesk"), &json!("Support")));
    let mut wanted = source("Contacts", credential.id());
    wanted["kind"] = json!("destination");
    wanted["endpoint"] = json!({ "method": "POST", "path": "/contacts", "query": [{ "name": "a", "value": "b" }] });
    wanted["policy"] = json!({ "methods": ["POST"], "prefixes": ["/contacts"], "per_minute": 60 });
    let destination = program.post("/api/v1/resources", &wanted).await.is(201);
    assert_eq!(
        destination.body["policy"],
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
        ("policy", json!({ "methods": [] }), ("policy.methods", "invalid")),
        ("policy", json!({ "prefixes": ["/a", "../b"] }), ("policy.prefixes", "invalid")),
        ("policy", json!({ "prefixes": ["/a\n/b"] }), ("policy.prefixes", "invalid")),
        ("policy", json!({ "body_mib": 1048577 }), ("policy.body_mib", "invalid")),
        ("policy", json!({ "per_minute": 0 }), ("policy.per_minute", "invalid")),
        ("policy", json!({ "retries": 6 }), ("policy.retries", "invalid")),
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
        "endpoint": { "path": "/people" }, "policy": { "prefixes": ["/people"], "retries": 2 },
    });
    let changed = program.patch(&path, created.etag(), &change).await.is(200);
    assert_eq!(
        (&changed.body["name"], &changed.body["description"], &changed.body["credential"], &changed.body["version"]),
        (&json!("People"), &json!("All of them"), &json!(second.id()), &json!(2))
    );
    assert_eq!(changed.body["endpoint"], json!({ "method": "GET", "path": "/people", "query": [] }));
    assert_eq!(
        changed.body["policy"],
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
    program.patch(&path, "*", &json!({ "policy": { "per_minute": 5 } })).await.is(200);
    let kept = program.patch(&path, "*", &json!({ "policy": { "retries": 0 } })).await.is(200);
    assert_eq!(kept.body["policy"]["per_minute"], 5);
    let free = program.patch(&path, "*", &json!({ "policy": { "per_minute": null } })).await.is(200);
    assert_eq!(free.body["policy"]["per_minute"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn a_policy_is_taken_by_its_old_name_too() {
    let (_setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let mut wanted = source("Agents", credential.id());
    wanted["contract"] = json!({ "per_minute": 60 });
    let created = program.post("/api/v1/resources", &wanted).await.is(201);
    assert_eq!((&created.body["policy"]["per_minute"], &created.body["contract"]), (&json!(60), &Value::Null));
    let path = format!("/api/v1/resources/{}", created.id());
    let changed = program.patch(&path, "*", &json!({ "contract": { "retries": 2 } })).await.is(200);
    assert_eq!((&changed.body["policy"]["per_minute"], &changed.body["policy"]["retries"]), (&json!(60), &json!(2)));
    wanted["name"] = json!("Other");
    for (contract, wrong) in [
        (json!({ "methods": [] }), ("policy.methods", "invalid")),
        (json!({ "methods": "GET" }), ("policy.methods", "invalid")),
        (json!({ "retries": 6 }), ("policy.retries", "invalid")),
        (json!({ "retry": 1 }), ("policy.retry", "unknown")),
        (json!("none"), ("policy", "invalid")),
    ] {
        wanted["contract"] = contract;
        program.patch(&path, "*", &json!({ "contract": wanted["contract"] })).await.wrong_in(422, &[wrong]);
        program.post("/api/v1/resources", &wanted).await.wrong_in(422, &[wrong]);
    }
    let both = json!({ "policy": { "retries": 1 }, "contract": { "retries": 1 } });
    wanted["policy"] = both["policy"].clone();
    wanted["contract"] = both["contract"].clone();
    for refused in [program.patch(&path, "*", &both).await, program.post("/api/v1/resources", &wanted).await] {
        let message = refused.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("`policy`") && message.contains("`contract`"), "{message}");
        refused.wrong_in(422, &[("policy", "duplicate")]);
    }
    assert_eq!(program.get(&path).await.body, changed.body);
    // Where nothing was ever called so, it is a member like any other that there is not.
    program.patch(&format!("/api/v1/credentials/{}", credential.id()), "*", &both).await.wrong_in(422, &[("policy", "unknown")]);
    server.stop().await;
}

/// What is sealed of the only resource, its place, and the keys.
struct Endpoint {
    keyring: Keyring,
    id: Uuid,
    version: i64,
    value: Value,
}

impl Endpoint {
    async fn open(setup: &Setup, id: &str) -> Self {
        let keyring = Keyring::load(&setup.data_dir().join("keyring")).unwrap();
        let id = Uuid::try_parse(id).unwrap();
        let rows = setup.texts("SELECT endpoint_version || ' ' || hex(endpoint) FROM resources").await;
        let (version, hex) = rows[0].split_once(' ').unwrap();
        let version = version.parse().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let sealed: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let connector = ConnectorId::new("talkdesk").unwrap();
        let opened = keyring.open_packed(&Place::resource_endpoint(id, version, &connector), &sealed).unwrap();
        let value = serde_json::from_slice(&opened).unwrap();
        Self { keyring, id, version, value }
    }

    async fn seal(&self, setup: &Setup) {
        let connector = ConnectorId::new("talkdesk").unwrap();
        let place = Place::resource_endpoint(self.id, self.version, &connector);
        let sealed = self.keyring.seal_packed(&place, self.value.to_string().as_bytes());
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        execute(setup, format!("UPDATE resources SET endpoint = X'{hex}' WHERE id = {}", blob(&self.id.to_string()))).await;
    }
}

#[tokio::test]
async fn a_policy_that_was_sealed_by_its_old_name_is_read_and_sealed_by_the_new_one() {
    let (setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let mut wanted = source("Agents", credential.id());
    wanted["policy"] = json!({ "methods": ["GET", "DELETE"], "per_minute": 7 });
    let created = program.post("/api/v1/resources", &wanted).await.is(201);
    let path = format!("/api/v1/resources/{}", created.id());
    let mut sealed = Endpoint::open(&setup, created.id()).await;
    let members = sealed.value.as_object_mut().unwrap();
    let policy = members.remove("policy").unwrap();
    members.insert("contract".into(), policy.clone());
    sealed.seal(&setup).await;
    assert_eq!(program.get(&path).await.is(200).body, created.body);
    // Something else that is sealed with it changes.
    let changed = program.patch(&path, "*", &json!({ "endpoint": { "path": "/people" } })).await.is(200);
    assert_eq!(changed.body["policy"], created.body["policy"]);
    let sealed = Endpoint::open(&setup, created.id()).await;
    assert_eq!((&sealed.value["policy"], sealed.value.get("contract")), (&policy, None));
    server.stop().await;
}
