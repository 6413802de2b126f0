//! Lists: pages of a size, one after the other, and what is on them.

use serde_json::json;

use super::{Program, source, start};

/// The names on all pages, of which each but the last is full.
async fn names(program: &Program, path: &str, limit: usize, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = program.get(&format!("{path}{sign}limit={limit}{cursor}")).await.is(200);
        let items = page.body["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item[name].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            None => return names,
            Some(next) => {
                assert_eq!(items.len(), limit, "{path}");
                cursor = format!("&cursor={next}");
            }
        }
    }
}

#[tokio::test]
async fn pages_follow_one_another_newest_first() {
    let (_setup, server, program) = start().await;
    let mut credentials = Vec::new();
    for number in 1..=5 {
        credentials.push(program.add_credential(&format!("Credential {number}")).await.id().to_owned());
    }
    for number in 1..=5 {
        let mut body = source(&format!("Resource {number}"), &credentials[0]);
        body["kind"] = json!(if number % 2 == 0 { "destination" } else { "source" });
        program.post("/api/v1/resources", &body).await.is(201);
    }
    let newest_first = |word: &str| (1..=5).rev().map(|number| format!("{word} {number}")).collect::<Vec<_>>();
    for limit in [1, 2, 4, 5, 100] {
        assert_eq!(names(&program, "/api/v1/credentials", limit, "name").await, newest_first("Credential"), "{limit}");
        assert_eq!(names(&program, "/api/v1/resources", limit, "name").await, newest_first("Resource"), "{limit}");
    }
    assert_eq!(names(&program, "/api/v1/resources?kind=source", 2, "name").await, ["Resource 5", "Resource 3", "Resource 1"]);
    assert_eq!(names(&program, "/api/v1/credentials?search=TIAL+3", 1, "name").await, ["Credential 3"]);
    assert_eq!(names(&program, "/api/v1/credentials?connector=nothing", 1, "name").await, [""; 0]);
    // What a page holds is what reading one answers.
    let page = program.get("/api/v1/resources?limit=1").await.is(200);
    let id = page.body["items"][0]["id"].as_str().unwrap();
    assert_eq!(program.get(&format!("/api/v1/resources/{id}")).await.body, page.body["items"][0]);
    server.stop().await;
}

#[tokio::test]
async fn the_audit_trail_can_be_read_and_narrowed() {
    let (_setup, server, program) = start().await;
    let created = program.add_credential("Support").await;
    program.delete(&format!("/api/v1/credentials/{}", created.id())).await.is(204);
    let of_credential = format!("/api/v1/audit?target={}", created.id());
    assert_eq!(names(&program, &of_credential, 1, "action").await, ["credential.delete", "credential.add"]);
    assert_eq!(names(&program, &format!("{of_credential}&action=credential.add"), 1, "action").await, ["credential.add"]);
    let page = program.get(&of_credential).await.is(200);
    let event = &page.body["items"][0];
    assert_eq!(
        (&event["actor_kind"], &event["actor_name"], &event["outcome"]),
        (&json!("api_key"), &json!("Key admin"), &json!("done"))
    );
    assert!(!event["request"].as_str().unwrap().is_empty());
    let at = event["at"].as_str().unwrap();
    assert_eq!(names(&program, &format!("{of_credential}&until={at}"), 1, "action").await, [""; 0]);
    assert_eq!(names(&program, &format!("{of_credential}&from={at}"), 1, "action").await.len(), 2, "the clock stands still");
    for (query, wrong) in [
        ("actor=x", ("actor", "invalid")),
        ("target=x", ("target", "invalid")),
        ("action=x", ("action", "invalid")),
        ("from=x", ("from", "invalid")),
        ("until=x", ("until", "invalid")),
        ("cursor=x", ("cursor", "invalid")),
    ] {
        program.get(&format!("/api/v1/audit?{query}")).await.wrong_in(422, &[wrong]);
    }
    server.stop().await;
}

#[tokio::test]
async fn connectors_say_what_their_credentials_are_made_of() {
    let (_setup, server, program) = start().await;
    let list = program.get("/api/v1/connectors").await.is(200);
    let ids: Vec<&str> = list.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"talkdesk"), "{ids:?}");
    for id in ids {
        let read = program.get(&format!("/api/v1/connectors/{id}")).await.is(200);
        assert_eq!((&read.body["id"], &read.body["fields_schema"]["type"]), (&json!(id), &json!("object")));
        assert!(read.body["guide"].as_str().unwrap().len() > 20);
    }
    let talkdesk = program.get("/api/v1/connectors/talkdesk").await;
    assert_eq!(talkdesk.body["fields_schema"]["properties"]["client_secret"]["writeOnly"], true);
    assert_eq!(talkdesk.body["endpoints"][0]["name"], "Users");
    for id in ["nothing", "%FF"] {
        program.get(&format!("/api/v1/connectors/{id}")).await.problem(404, "not_found");
    }
    server.stop().await;
}
