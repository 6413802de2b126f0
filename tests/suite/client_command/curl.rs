//! `keytile curl`.

use std::fs;

use axum::{body::Body, http::Response};
use serde_json::json;

use super::{Keytile, destination, start};
use crate::{api::source, proxy::Scene, support::api_server::with_json};

#[tokio::test]
async fn a_request_is_made_as_the_pipeline_makes_it() {
    let (setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    let agents = program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201).id().to_owned();
    program.post("/api/v1/resources", &destination("Contacts", &credential)).await.is(201);
    let direct = program.get(&format!("/proxy/{agents}/users?page=2")).await.is(200);
    for path in ["/users?page=2", "users?page=2"] {
        assert_eq!(keytile.done(&["curl", "Agents", path]).await, direct.text);
    }
    let file = setup.folder.path().join("answer");
    let written = keytile.run(&["curl", &agents, "/users?page=2", "-o", file.to_str().unwrap()], "").await.is(0);
    assert_eq!((written.stdout, fs::read_to_string(&file).unwrap()), (String::new(), direct.text.clone()));
    let with_head = keytile.done(&["curl", "Agents", "/users?page=2", "-i"]).await;
    let (head, body) = with_head.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nx-keytile-upstream: 1"), "{head}");
    assert_eq!(body, direct.text);

    // The body as text, from a file and from standard input.
    let contact = json!({ "name": "Ana", "email": "ana@example.com" }).to_string();
    fs::write(&file, &contact).unwrap();
    let from_file = format!("@{}", file.display());
    let made = keytile.run(&["curl", "Contacts", "/contacts", "-d", &contact], "").await;
    for (data, input) in [(from_file.as_str(), ""), ("-", contact.as_str())] {
        let ran = keytile.run(&["curl", "Contacts", "/contacts", "-X", "post", "-d", data], input).await;
        assert_eq!((ran.code, ran.stderr), (made.code, made.stderr.clone()), "{data}: {}", ran.stdout);
    }
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
    server.stop().await;
}

#[tokio::test]
async fn an_error_of_the_service_is_told_from_one_of_keytile() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    let id = program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201).id().to_owned();
    let direct = program.get(&format!("/proxy/{id}/nothing")).await.is(404);
    let answered = keytile.run(&["curl", "Agents", "/nothing"], "").await.is(8);
    assert_eq!((answered.stdout, answered.stderr.as_str()), (direct.text, "keytile: the service responded with status 404\n"));
    keytile.run(&["curl", "Agents", "/users", "-d", "{}"], "").await.is(4).says(&["keytile: "]);
    let json = keytile.run(&["curl", "Agents", "/users", "-X", "DELETE", "--json"], "").await.is(4).says(&[]);
    let problem: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(problem["code"], "method_not_allowed");
    let unknown = uuid::Uuid::nil().to_string();
    keytile.run(&["curl", &unknown, "/users"], "").await.is(3).says(&["keytile: "]);
    // Nothing leads from the proxy to another part of Keytile.
    for path in ["../../api/v1/credentials", "/../%2e%2e/api/v1/credentials", "..\\..\\api"] {
        keytile.run(&["curl", "Agents", path], "").await.is(2).says(&["leads outside the source or destination"]);
    }
    keytile.run(&["curl", "Agents", "https://example.com/users"], "").await.is(2).says(&["PATH is the part after"]);
    for header in ["Authorization: canary-1", "canary-1", "X: canary\n-1"] {
        let refused = keytile.run(&["curl", "Agents", "/users", "-H", header], "").await.is(2);
        assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
    }
    keytile.run(&["curl", "Agents", "/users", "-d", "@/absent"], "").await.is(2).says(&["cannot read /absent: "]);
    server.stop().await;
}

#[tokio::test]
async fn method_headers_and_body_arrive_as_they_were_given() {
    let scene = Scene::set(|request| async {
        let head = (request.method().to_string(), request.uri().to_string(), request.headers().clone());
        let body = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap();
        let header = |name: &str| head.2.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        let told = json!({ "method": head.0, "uri": head.1, "kind": header("content-type"), "colour": header("x-colour"),
            "length": header("content-length"), "body": String::from_utf8_lossy(&body) });
        with_json(200, &told)
    })
    .await;
    let keytile = Keytile::with(&scene.server, "resources:read proxy").await;
    let asked = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let posted = asked(keytile.done(&["curl", "Contacts", "/contacts?a=b%20c&d", "-d", "{\"a\":1}", "-H", "X-Colour: red"]).await);
    assert_eq!(
        posted,
        json!({ "method": "POST", "uri": "/contacts?a=b%20c&d", "kind": ["application/json"], "colour": ["red"], "length": ["7"], "body": "{\"a\":1}" })
    );
    let arguments = ["curl", "Contacts", "/contacts/1", "-X", "PUT", "-H", "content-type: text/plain", "-d", "-"];
    let put = asked(keytile.run(&arguments, "from standard input").await.is(0).stdout);
    assert_eq!(
        (&put["method"], &put["kind"], &put["body"]),
        (&json!("PUT"), &json!(["text/plain"]), &json!("from standard input"))
    );
    let file = scene.setup.folder.path().join("body");
    fs::write(&file, "x".repeat(200_000)).unwrap();
    let sent = asked(keytile.done(&["curl", "Contacts", "/contacts", "-d", &format!("@{}", file.display())]).await);
    assert_eq!((&sent["length"], sent["body"].as_str().unwrap().len()), (&json!(["200000"]), 200_000));
    scene.server.stop().await;
}

#[tokio::test]
async fn an_answer_of_any_bytes_comes_whole() {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let answer = bytes.clone();
    let scene = Scene::set(move |_| {
        let answer = answer.clone();
        async { Response::new(Body::from(answer)) }
    })
    .await;
    let keytile = Keytile::with(&scene.server, "resources:read proxy").await;
    let file = scene.setup.folder.path().join("answer");
    keytile.done(&["curl", "Agents", "/users", "-o", file.to_str().unwrap()]).await;
    assert!(fs::read(&file).unwrap() == bytes);
    let mut command = keytile.command(&["curl", "Agents", "/users"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.stdout == bytes && output.status.success());
    scene.server.stop().await;
}
