//! Credentials through the API: created only when they work, read without secrets, changed, tested, deleted.

use serde_json::{Value, json};

use super::{SECRET, credential, source, start};

#[tokio::test]
async fn a_credential_is_created_when_it_works_and_read_without_its_secret() {
    let (_setup, server, program) = start().await;
    let created = program.add_credential("Support").await;
    let path = format!("/api/v1/credentials/{}", created.id());
    assert_eq!(created.header("location"), path);
    let read = program.get(&path).await.is(200);
    assert_eq!((&read.body, read.etag()), (&created.body, created.etag()));
    assert_eq!(read.header("cache-control"), "no-store");
    assert_eq!(
        read.body["fields"],
        json!({ "account_name": "acme", "authorization_prefix": "Basic", "client_id": "sandbox-client", "region": "us" })
    );
    assert_eq!(read.body["secrets"], json!(["client_secret"]));
    assert_eq!((&read.body["status"], &read.body["access"]), (&json!("verified"), &json!("manage")));
    assert_eq!((&read.body["used_by"], &read.body["owner"]), (&json!(0), &Value::Null));
    // It is the same one that people see.
    let mut browser = server.browser();
    browser.get(&format!("/credentials/{}", created.id())).await.says("Support");
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_work_is_not_stored() {
    let (_setup, server, program) = start().await;
    let with = |field: &str, value: Value| {
        let mut body = credential("Support");
        body["fields"][field] = value;
        body
    };
    let create = async |body: Value| program.post("/api/v1/credentials", &body).await;
    let rejected = create(with("client_secret", json!("wrong-canary"))).await.problem(422, "verification_rejected");
    assert!(!rejected.text.contains("wrong-canary"), "{}", rejected.text);
    assert_eq!(rejected.body["verification"]["failure"]["code"], "invalid_client");
    assert_eq!(rejected.body["verification"]["passed"], false);
    rejected.wrong_in(422, &[("fields.client_id", "rejected"), ("fields.client_secret", "rejected")]);
    let down = create(with("account_name", json!("down"))).await.problem(502, "verification_failed");
    assert_eq!(down.body["verification"]["failure"]["blame"], "service");
    create(with("account_name", json!("a b"))).await.wrong_in(422, &[("fields.account_name", "invalid")]);
    create(with("client_secret", json!(""))).await.wrong_in(422, &[("fields.client_secret", "required")]);
    for masked in ["••••••••", "****"] {
        create(with("client_secret", json!(masked))).await.wrong_in(422, &[("fields.client_secret", "masked")]);
    }
    create(with("password", json!("x"))).await.wrong_in(422, &[("fields.password", "unknown")]);
    let mut unnamed = credential(" ");
    create(unnamed.clone()).await.wrong_in(422, &[("name", "invalid")]);
    unnamed["connector"] = json!("nothing");
    create(unnamed).await.wrong_in(422, &[("connector", "unknown")]);
    let list = program.get("/api/v1/credentials").await.is(200);
    assert_eq!(list.body["items"], json!([]), "nothing is stored");
    program.add_credential("Support").await;
    create(credential("SUPPORT")).await.wrong_in(422, &[("name", "taken")]);
    // What a program tried is nothing that the person typed.
    let overlay = server.browser().get(crate::support::server::OVERLAY).await;
    assert_eq!(overlay.value("client_id"), "");
    server.stop().await;
}

#[tokio::test]
async fn what_a_change_leaves_out_stays() {
    let (setup, server, program) = start().await;
    let created = program.add_credential("Support").await;
    let path = format!("/api/v1/credentials/{}", created.id());
    let renamed = program.patch(&path, created.etag(), &json!({ "name": "Support EU" })).await.is(200);
    assert_eq!((&renamed.body["name"], &renamed.body["description"]), (&json!("Support EU"), &json!("Nightly exports")));
    assert_eq!(renamed.body["fields"], created.body["fields"]);
    assert_ne!(renamed.etag(), created.etag());
    // With the stored secret, verified again; the scope is one that the sandbox gives.
    let changed = json!({ "description": "", "fields": { "authorization_prefix": "Bearer" } });
    let changed = program.patch(&path, renamed.etag(), &changed).await.is(200);
    assert_eq!(changed.body["fields"]["authorization_prefix"], "Bearer");
    assert_eq!((&changed.body["name"], &changed.body["description"]), (&json!("Support EU"), &json!("")));
    // Null is the value of who says nothing.
    let back = json!({ "fields": { "authorization_prefix": null } });
    let back = program.patch(&path, changed.etag(), &back).await.is(200);
    assert_eq!(back.body["fields"]["authorization_prefix"], "Basic");
    for (body, wrong) in [
        (json!({ "fields": { "client_secret": "••••••••" } }), ("fields.client_secret", "masked")),
        (json!({ "fields": { "client_secret": "****" } }), ("fields.client_secret", "masked")),
        (json!({ "fields": { "client_secret": "" } }), ("fields.client_secret", "invalid")),
        (json!({ "fields": { "client_secret": null } }), ("fields.client_secret", "invalid")),
        (json!({ "fields": { "password": "x" } }), ("fields.password", "unknown")),
        (json!({ "fields": { "account_name": "other" } }), ("fields.client_secret", "invalid")),
        (json!({ "name": "" }), ("name", "invalid")),
    ] {
        program.patch(&path, "*", &body).await.wrong_in(422, &[wrong]);
    }
    let wrong = json!({ "fields": { "client_secret": "wrong-canary" } });
    let refused = program.patch(&path, "*", &wrong).await.problem(422, "verification_rejected");
    assert!(!refused.text.contains("wrong-canary"), "{}", refused.text);
    let after = program.get(&path).await.is(200);
    assert_eq!((&after.body, after.etag()), (&back.body, back.etag()), "nothing of all that was stored");
    let typed = json!({ "fields": { "client_secret": SECRET } });
    let rotated = program.patch(&path, after.etag(), &typed).await.is(200);
    assert_ne!(rotated.etag(), after.etag(), "a secret that is sent is verified and takes over");
    let events = setup.texts("SELECT action || ' ' || actor_kind || ' ' || outcome FROM audit_events ORDER BY seq").await;
    let count = |event: &str| events.iter().filter(|known| *known == event).count();
    assert_eq!(count("credential.add api_key done"), 1, "{events:?}");
    assert_eq!(count("credential.change api_key done"), 4, "{events:?}");
    assert_eq!(count("credential.verify api_key failed"), 1, "{events:?}");
    server.stop().await;
}

#[tokio::test]
async fn testing_tells_and_keeps_what_is_found() {
    let (_setup, server, program) = start().await;
    let created = program.add_credential("Support").await;
    let path = format!("/api/v1/credentials/{}", created.id());
    let tested = program.ask(reqwest::Method::POST, &format!("{path}/test"), None, &[]).await.is(200);
    assert_eq!((&tested.body["passed"], &tested.body["status"]), (&json!(true), &json!("verified")));
    let stages: Vec<&str> =
        tested.body["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["input", "address", "connection", "tls", "http", "oauth", "token", "probe"]);
    let first = program.get(&format!("{path}/verifications?limit=1")).await.is(200);
    assert_eq!(first.body["items"].as_array().unwrap().len(), 1);
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = program.get(&format!("{path}/verifications?limit=1&cursor={cursor}")).await.is(200);
    assert_eq!((second.body["items"].as_array().unwrap().len(), &second.body["next_cursor"]), (1, &Value::Null));
    assert_ne!(first.body["items"][0]["id"], second.body["items"][0]["id"]);
    server.stop().await;
}

#[tokio::test]
async fn values_can_be_verified_without_storing_them() {
    let (setup, server, program) = start().await;
    let mut values = json!({ "connector": "talkdesk", "fields": credential("")["fields"] });
    let passed = program.post("/api/v1/verify", &values).await.is(200);
    assert_eq!((&passed.body["passed"], &passed.body["id"]), (&json!(true), &Value::Null));
    values["fields"]["client_secret"] = json!("wrong-canary");
    let failed = program.post("/api/v1/verify", &values).await.is(200);
    assert_eq!((&failed.body["passed"], &failed.body["failure"]["code"]), (&json!(false), &json!("invalid_client")));
    assert!(!failed.text.contains("wrong-canary"));
    values["fields"]["client_secret"] = json!("••••");
    program.post("/api/v1/verify", &values).await.wrong_in(422, &[("fields.client_secret", "masked")]);
    let counts =
        "SELECT ((SELECT COUNT(*) FROM credentials) + (SELECT COUNT(*) FROM drafts) + (SELECT COUNT(*) FROM verifications)) || ''";
    assert_eq!(setup.texts(counts).await, ["0"]);
    let recorded = "SELECT outcome || ': ' || detail FROM audit_events WHERE action = 'credential.verify' ORDER BY seq";
    let recorded = setup.texts(recorded).await;
    assert_eq!(
        recorded,
        [
            "done: values for talkdesk that are not stored: passed",
            "failed: values for talkdesk that are not stored: failed at oauth"
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_credential_that_nothing_uses_can_be_deleted() {
    let (_setup, server, program) = start().await;
    let created = program.add_credential("Support").await;
    let path = format!("/api/v1/credentials/{}", created.id());
    let resource = program.post("/api/v1/resources", &source("Agents", created.id())).await.is(201);
    program.delete(&path).await.problem(409, "in_use");
    program.delete(&format!("/api/v1/resources/{}", resource.id())).await.is(204);
    let gone = program.delete(&path).await.is(204);
    assert_eq!(gone.text, "");
    program.get(&path).await.problem(404, "not_found");
    program.delete(&path).await.problem(404, "not_found");
    server.stop().await;
}
