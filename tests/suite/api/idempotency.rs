//! `Idempotency-Key`: a request that is sent again has done its work once.

use reqwest::Method;
use serde_json::json;

use super::{Program, credential, source, start};

#[tokio::test]
async fn what_is_sent_again_is_created_once() {
    let (_setup, server, program) = start().await;
    let create = async |program: &Program, path: &str, body: &serde_json::Value, key: &str| {
        program.ask(Method::POST, path, Some(body), &[("idempotency-key", key)]).await
    };
    let first = create(&program, "/api/v1/credentials", &credential("Support"), "key-1").await.is(201);
    let again = create(&program, "/api/v1/credentials", &credential("Support"), "\"key-1\"").await.is(201);
    assert_eq!((&again.body, again.header("location"), again.etag()), (&first.body, first.header("location"), first.etag()));
    create(&program, "/api/v1/credentials", &credential("Other"), "key-1").await.problem(422, "idempotency_key_used");
    create(&program, "/api/v1/credentials", &credential("Support"), "key-2").await.wrong_in(422, &[("name", "taken")]);
    create(&program, "/api/v1/credentials", &credential("Support"), "a b").await.problem(400, "idempotency_key_invalid");
    // The key of another API key is another key, and the same key on another route is too.
    let other = Program::with(&server, "admin").await;
    create(&other, "/api/v1/credentials", &credential("Theirs"), "key-1").await.is(201);
    let made = create(&program, "/api/v1/resources", &source("Agents", first.id()), "key-1").await.is(201);
    let twice = create(&program, "/api/v1/resources", &source("Agents", first.id()), "key-1").await.is(201);
    assert_eq!(twice.body, made.body);
    create(&program, "/api/v1/resources", &source("More", first.id()), "key-1").await.problem(422, "idempotency_key_used");
    assert_eq!(program.get("/api/v1/credentials").await.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(program.get("/api/v1/resources").await.body["items"].as_array().unwrap().len(), 1);
    // A try that did not come to anything can be made again, corrected or not.
    let mut wrong = credential("Third");
    wrong["fields"]["client_secret"] = json!("wrong");
    create(&program, "/api/v1/credentials", &wrong, "key-3").await.problem(422, "verification_rejected");
    create(&program, "/api/v1/credentials", &credential("Third"), "key-3").await.is(201);
    server.stop().await;
}

#[tokio::test]
async fn of_many_at_once_one_creates() {
    let (setup, server, program) = start().await;
    let used = program.add_credential("Used").await;
    let (new, source) = (credential("Support"), source("Agents", used.id()));
    for (path, body) in [("/api/v1/credentials", &new), ("/api/v1/resources", &source)] {
        let all = (0..6).map(|_| program.ask(Method::POST, path, Some(body), &[("idempotency-key", "the-same")]));
        let answers = futures_util::future::join_all(all).await;
        let first = answers[0].id().to_owned();
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.id() == first), "{path}");
    }
    let counts = "SELECT (SELECT COUNT(*) FROM credentials) || ' ' || (SELECT COUNT(*) FROM resources)";
    assert_eq!(setup.texts(counts).await, ["2 1"]);
    server.stop().await;
}
