//! API keys at the door of the API: those that may not be used, and those that are for some resources only.

use serde_json::json;

use super::{Program, answer, credential, make_key, source, start};
use crate::support::{
    https::plain_client,
    server::{ADMINISTRATOR, Setup},
};

/// Every route, with an id where it has one.
pub(super) const ROUTES: [(&str, &str); 17] = [
    ("GET", "/api/v1/connectors"),
    ("GET", "/api/v1/connectors/talkdesk"),
    ("GET", "/api/v1/credentials"),
    ("POST", "/api/v1/credentials"),
    ("GET", "/api/v1/credentials/01890a5d-ac96-774b-bcce-0000000000ff"),
    ("PATCH", "/api/v1/credentials/01890a5d-ac96-774b-bcce-0000000000ff"),
    ("DELETE", "/api/v1/credentials/01890a5d-ac96-774b-bcce-0000000000ff"),
    ("POST", "/api/v1/credentials/01890a5d-ac96-774b-bcce-0000000000ff/test"),
    ("GET", "/api/v1/credentials/01890a5d-ac96-774b-bcce-0000000000ff/verifications"),
    ("GET", "/api/v1/resources"),
    ("POST", "/api/v1/resources"),
    ("GET", "/api/v1/resources/01890a5d-ac96-774b-bcce-0000000000ff"),
    ("PATCH", "/api/v1/resources/01890a5d-ac96-774b-bcce-0000000000ff"),
    ("DELETE", "/api/v1/resources/01890a5d-ac96-774b-bcce-0000000000ff"),
    ("POST", "/api/v1/resources/01890a5d-ac96-774b-bcce-0000000000ff/token"),
    ("POST", "/api/v1/verify"),
    ("GET", "/api/v1/audit"),
];

#[tokio::test]
async fn without_a_key_that_may_be_used_there_is_nothing() {
    let setup = Setup::new();
    let server = setup.start().await;
    let unknown = "kt_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp11rwx1n";
    for (method, path) in ROUTES {
        let method: reqwest::Method = method.parse().unwrap();
        let request = || plain_client().request(method.clone(), server.address.join(path).unwrap());
        // What a browser has is no key.
        let cookie = server.browser().with_cookie(request());
        for request in [request(), cookie, request().header("authorization", "Basic YTpi")] {
            let refused = answer(request).await.problem(401, "key_missing");
            assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"keytile\"", "{path}");
            assert_eq!(refused.header("set-cookie"), "");
        }
        for key in ["kt_x", unknown] {
            answer(request().bearer_auth(key)).await.problem(401, "key_rejected");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let (setup, server, program) = start().await;
    program.get("/api/v1/credentials").await.is(200);
    let mut browser = server.browser();
    let id = setup.texts("SELECT lower(hex(id)) FROM api_keys").await.pop().unwrap();
    let id = uuid::Uuid::try_parse(&id).unwrap();
    assert_eq!(browser.post(&format!("/settings/keys/{id}/revoke"), &[]).await.status, 303);
    program.get("/api/v1/credentials").await.problem(401, "key_rejected");
    program.post("/api/v1/credentials", &credential("Support")).await.problem(401, "key_rejected");
    server.stop().await;
}

#[tokio::test]
async fn a_key_for_some_resources_reaches_nothing_else() {
    let (_setup, server, program) = start().await;
    let (ours, theirs) = (program.add_credential("Ours").await, program.add_credential("Theirs").await);
    let own = program.add_source("Own", ours.id()).await;
    let (beside, other) = (program.add_source("Beside", ours.id()).await, program.add_source("Other", theirs.id()).await);
    let scopes = "resources:read tokens:issue credentials:manage admin";
    let limited = Program::new(&server, make_key(&server, ADMINISTRATOR, scopes, Some(&[own.id()])).await);
    let list = limited.get("/api/v1/resources").await.is(200);
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["items"][0]["id"], own.id());
    let list = limited.get("/api/v1/credentials").await.is(200);
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["items"][0]["id"], ours.id());
    limited.get("/api/v1/credentials?connector=oauth2-client-credentials").await.is(200);
    let path = format!("/api/v1/resources/{}", own.id());
    limited.get(&path).await.is(200);
    limited.patch(&path, "*", &json!({ "description": "changed" })).await.is(200);
    limited.post(&format!("{path}/token"), &json!({})).await.is(200);
    for resource in [&beside, &other] {
        let path = format!("/api/v1/resources/{}", resource.id());
        limited.get(&path).await.problem(404, "not_found");
        limited.patch(&path, "*", &json!({ "description": "x" })).await.problem(404, "not_found");
        limited.delete(&path).await.problem(404, "not_found");
        limited.post(&format!("{path}/token"), &json!({})).await.problem(404, "not_found");
    }
    let path = format!("/api/v1/credentials/{}", theirs.id());
    limited.get(&path).await.problem(404, "not_found");
    limited.patch(&path, "*", &json!({ "description": "x" })).await.problem(404, "not_found");
    limited.delete(&path).await.problem(404, "not_found");
    // It does not get out by making or choosing something else.
    limited
        .patch(&format!("/api/v1/resources/{}", own.id()), "*", &json!({ "credential": theirs.id() }))
        .await
        .wrong_in(422, &[("credential", "invalid")]);
    limited.post("/api/v1/resources", &source("New", ours.id())).await.problem(403, "not_allowed");
    limited.post("/api/v1/credentials", &credential("New")).await.problem(403, "not_allowed");
    let values = json!({ "connector": "talkdesk", "fields": {} });
    limited.post("/api/v1/verify", &values).await.problem(403, "not_allowed");
    limited.get("/api/v1/audit").await.problem(403, "not_allowed");
    server.stop().await;
}

#[tokio::test]
async fn each_scope_opens_what_it_is_for() {
    let (setup, server, program) = start().await;
    let created = program.add_credential("Support").await;
    let path = format!("/api/v1/credentials/{}", created.id());
    let reading = Program::with(&server, "resources:read").await;
    let seen = reading.get(&path).await.is(200);
    assert_eq!((&seen.body["access"], &seen.body["fields"], &seen.body["secrets"]), (&json!("use"), &json!({}), &json!([])));
    assert!(seen.body["token_url"].is_null() && seen.body["account"].is_null());
    let managing = Program::with(&server, "credentials:manage").await;
    let seen = managing.get(&path).await.is(200);
    assert_eq!(seen.body, created.body, "who manages credentials sees them, without another scope");
    managing.patch(&path, seen.etag(), &json!({ "description": "changed" })).await.is(200);
    managing.get("/api/v1/resources").await.problem(403, "not_allowed");
    let refused = "SELECT detail FROM audit_events WHERE action = 'access.refused'";
    assert_eq!(setup.texts(refused).await, ["seeing resources: not for this API key"]);
    server.stop().await;
}
