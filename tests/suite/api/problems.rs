//! Whatever goes wrong under `/api` is told as a problem: by handlers, and by what lies around them.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{Program, answer, credential, make_key, source, start};
use crate::support::{
    https::plain_client,
    raw::Raw,
    server::{ADMINISTRATOR, Setup},
};

#[tokio::test]
async fn what_is_not_there_or_not_taken_is_a_problem() {
    let (_setup, server, program) = start().await;
    for path in ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/credentials", "/api/v1/nothing", "/api/v1/credentials/"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            program.ask(method, path, None, &[]).await.problem(404, "not_found");
        }
    }
    for (method, path, allowed) in [
        (Method::PUT, "/api/v1/credentials", "GET,HEAD,POST"),
        (Method::DELETE, "/api/v1/audit", "GET,HEAD"),
        (Method::GET, "/api/v1/verify", "POST"),
        (Method::OPTIONS, "/api/v1/resources", "GET,HEAD,POST"),
        (Method::POST, "/api/v1/resources/01890a5d-ac96-774b-bcce-0000000000ff", "GET,HEAD,PATCH,DELETE"),
        (Method::POST, "/api/openapi.json", "GET,HEAD"),
    ] {
        let refused = program.ask(method, path, None, &[]).await.problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), allowed, "{path}");
    }
    for path in ["credentials/x", "credentials/x/verifications", "resources/x", "resources/%00"] {
        program.get(&format!("/api/v1/{path}")).await.problem(404, "not_found");
    }
    let head = program.ask(Method::HEAD, "/api/v1/credentials", None, &[]).await.is(200);
    assert_eq!(head.text, "");
    server.stop().await;
}

#[tokio::test]
async fn a_body_is_taken_only_as_it_is_described() {
    let (_setup, server, program) = start().await;
    let send = async |kind: &str, body: String| {
        let request = plain_client().post(server.address.join("/api/v1/credentials").unwrap());
        let key = make_key(&server, ADMINISTRATOR, "admin", None).await;
        answer(request.bearer_auth(key).header("content-type", kind).body(body)).await
    };
    let good = credential("Support").to_string();
    send("application/x-www-form-urlencoded", "name=x".into()).await.problem(415, "not_json");
    send("text/plain", good.clone()).await.problem(415, "not_json");
    send("application/json", "{".into()).await.problem(400, "malformed_json");
    send("application/json", String::new()).await.problem(400, "malformed_json");
    send("application/json", format!("{good} {good}")).await.problem(400, "malformed_json");
    send("application/json", "[]".into()).await.wrong_in(422, &[("", "invalid")]);
    send("application/json", good.replacen('{', "{\"owner\":\"x\",", 1)).await.wrong_in(422, &[("owner", "unknown")]);
    send("application/json", good.replacen('{', "{\"name\":\"x\",", 1)).await.wrong_in(422, &[("name", "duplicate")]);
    let twice = good.replacen("\"account_name\"", "\"account_name\":\"x\",\"account_name\"", 1);
    send("application/json", twice).await.wrong_in(422, &[("fields.account_name", "duplicate")]);
    let wrong = good.replacen("\"sandbox-secret\"", "[\"sandbox-secret\"]", 1);
    send("application/json", wrong).await.wrong_in(422, &[("fields.client_secret", "invalid")]);
    send("application/json", json!({ "description": "x".repeat(300_000) }).to_string()).await.problem(413, "body_too_large");
    send("application/json; charset=utf-8", good).await.is(201);
    let list = program.get("/api/v1/credentials").await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_query_is_taken_only_as_it_is_described() {
    let (_setup, server, program) = start().await;
    for (query, wrong) in [
        ("limit=0", ("limit", "invalid")),
        ("limit=101", ("limit", "invalid")),
        ("limit=ten", ("limit", "invalid")),
        ("cursor=x", ("cursor", "invalid")),
        ("page=2", ("page", "unknown")),
        ("limit=1&limit=2", ("limit", "duplicate")),
    ] {
        for list in ["credentials", "resources", "audit"] {
            program.get(&format!("/api/v1/{list}?{query}")).await.wrong_in(422, &[wrong]);
        }
    }
    program.get("/api/v1/resources?kind=both").await.wrong_in(422, &[("kind", "invalid")]);
    program.get("/api/v1/credentials?connector=A+B").await.wrong_in(422, &[("connector", "invalid")]);
    server.stop().await;
}

#[tokio::test]
async fn the_limits_and_the_guard_of_pages_hold_here_too() {
    let mut setup = Setup::sandbox();
    (setup.overrides.serving.body_piece, setup.overrides.serving.body_whole) =
        (Duration::from_millis(100), Duration::from_secs(10));
    let server = setup.start().await;
    let key = make_key(&server, ADMINISTRATOR, "admin", None).await;
    let program = Program::new(&server, &key);
    program.ask(Method::GET, "/api/v1/connectors", None, &[("host", "evil.example")]).await.problem(421, "other_host");
    let from_elsewhere = [("sec-fetch-site", "cross-site")];
    let body = source("Agents", super::rights::NOTHING);
    program.ask(Method::POST, "/api/v1/resources", Some(&body), &from_elsewhere).await.problem(403, "other_site");
    let head = format!(
        "POST /api/v1/verify HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        server.listening
    );
    let answer = Raw::with(server.listening, &head).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("\"code\":\"body_too_slow\""), "{answer}");
    let got = program.get("/api/v1/connectors").await.is(200);
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    server.stop().await;
    let mut setup = Setup::new();
    setup.overrides.serving.in_flight = 0;
    let server = setup.start_without_accounts().await;
    let busy = Program::new(&server, "kt_x").get("/api/v1/connectors").await.problem(503, "busy");
    assert_eq!(busy.header("retry-after"), "1");
    server.stop().await;
}

#[tokio::test]
async fn what_is_unexpected_says_nothing_of_its_cause() {
    let (setup, server, program) = start().await;
    let created = program.add_credential("Support").await;
    setup.execute("ALTER TABLE credential_secrets RENAME TO gone").await;
    let failed = program.get(&format!("/api/v1/credentials/{}", created.id())).await.problem(500, "internal");
    assert!(!failed.text.contains("credential_secrets") && !failed.text.contains("SQL"), "{}", failed.text);
    server.stop().await;
}

#[tokio::test]
async fn one_account_has_only_so_many_calls_under_way() {
    let (_setup, _server, program) = start().await;
    let mut slow = json!({ "connector": "talkdesk", "fields": credential("")["fields"] });
    slow["fields"]["account_name"] = json!("slow");
    let calls: Vec<_> = (0..9)
        .map(|_| {
            let (program, slow) = (program.clone(), slow.clone());
            tokio::spawn(async move { program.post("/api/v1/verify", &slow).await })
        })
        .collect();
    let (first, _, others) = futures_util::future::select_all(calls).await;
    let refused = first.unwrap().problem(429, "too_many_calls");
    assert_eq!(refused.header("retry-after"), "5");
    others.into_iter().for_each(|call| call.abort());
}
