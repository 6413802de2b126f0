//! `keytile resources`.

use std::process::Stdio;

use serde_json::json;

use super::{destination, ended, start};
use crate::api::source;

#[tokio::test]
async fn a_source_is_added_listed_shown_and_deleted() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    let own = ["--method", "get", "--path", "/users", "--query", "page=1", "--query", "q=a b", "--allow-prefix", "/users"];
    let policy = ["--allow-method", "GET", "--max-body", "3", "--per-minute", "600", "--retries", "2"];
    let begin =
        ["resources", "add", "--kind", "source", "--name", "Agents", "--credential", "Support EU", "--description", "Nightly"];
    let added = keytile.run(&[&begin[..], &own, &policy].concat(), "").await.is(0);
    assert_eq!(added.stderr, "The source “Agents” was created.\n");
    let id = added.stdout.trim_end();
    let stored = program.get(&format!("/api/v1/resources/{id}")).await.is(200);
    assert_eq!(stored.body["credential"], credential.as_str());
    assert_eq!(
        stored.body["endpoint"],
        json!({ "method": "GET", "path": "/users", "query": [{ "name": "page", "value": "1" }, { "name": "q", "value": "a b" }] })
    );
    assert_eq!(
        stored.body["policy"],
        json!({ "methods": ["GET"], "prefixes": ["/users"], "body_mib": 3, "per_minute": 600, "retries": 2 })
    );
    let listed = keytile.done(&["resources", "list", "--kind", "source"]).await;
    assert_eq!(listed.lines().nth(1), Some(format!("{id}  source  talkdesk   Agents  Support EU").as_str()));
    assert_eq!(keytile.done(&["resources", "list", "--kind", "destination"]).await.lines().count(), 1);
    let shown = keytile.done(&["resources", "show", "agents"]).await;
    for part in ["Agents", id, "source", "Nightly", "GET /users?page=1&q=a b", "3 MiB", "600 requests", "Support EU"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    assert_eq!(keytile.done(&["resources", "show", id, "--json"]).await, format!("{}\n", stored.text));
    let gone = keytile.run(&["resources", "rm", "Agents", "--yes"], "").await.is(0);
    assert_eq!(gone.stderr, format!("Deleted the source “Agents” (talkdesk, {id}).\n"));
    program.get(&format!("/api/v1/resources/{id}")).await.is(404);
    server.stop().await;
}

#[tokio::test]
async fn an_offered_endpoint_is_taken_by_its_name() {
    let (_setup, server, keytile, program) = start().await;
    keytile.add_credential("Support EU").await;
    let begin = ["resources", "add", "--kind", "source", "--name", "Agents", "--credential", "support eu", "--offer"];
    let added = keytile.json(&[&begin[..], &["Users"]].concat()).await;
    assert_eq!(added, program.get(&format!("/api/v1/resources/{}", added["id"].as_str().unwrap())).await.body);
    assert_eq!(added["endpoint"]["path"], "/users");
    let begin = ["resources", "add", "--kind", "source", "--name", "Other", "--credential", "support eu", "--offer"];
    keytile.run(&[&begin[..], &["Nothing"]].concat(), "").await.is(2).says(&["keytile: --offer: "]);
    for wrong in [&["--offer", "Users", "--path", "/users"][..], &["--path", "/users"], &[]] {
        let begin = ["resources", "add", "--kind", "source", "--name", "Other", "--credential", "x"];
        assert_eq!(keytile.run(&[&begin[..], wrong].concat(), "").await.code, Some(2), "{wrong:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_list_is_followed_to_its_end() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    for number in 0..101 {
        program.post("/api/v1/resources", &source(&format!("Source {number:03}"), &credential)).await.is(201);
    }
    let listed = keytile.json(&["resources", "list"]).await;
    let names: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..101).rev().map(|number| format!("Source {number:03}")).collect();
    assert_eq!(names, expected);
    assert_eq!(listed["next_cursor"], json!(null));
    assert_eq!(keytile.done(&["resources", "list"]).await.lines().count(), 102);
    // Found by its name on the second page.
    assert!(keytile.done(&["resources", "show", "source 000"]).await.contains("Source 000"));
    server.stop().await;
}

#[tokio::test]
async fn a_source_and_a_destination_of_one_name_are_told_apart_by_their_ids() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    let one = program.post("/api/v1/resources", &source("Contacts", &credential)).await.is(201);
    let other = program.post("/api/v1/resources", &destination("Contacts", &credential)).await.is(201);
    for arguments in [&["resources", "rm", "Contacts", "--yes"][..], &["curl", "Contacts", "/users"], &["token", "Contacts"]] {
        let refused = keytile.run(arguments, "").await.is(6);
        refused.says(&["is the name of several", one.id(), "talkdesk source", other.id(), "talkdesk destination"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn who_reads_no_more_ends_the_output_and_nothing_else() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201);
    for arguments in ["resources list", "resources list --json", "completions bash", "exit-codes", "curl Agents /users"] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let (reader, writer) = std::io::pipe().unwrap();
        // Before the writer begins.
        drop(reader);
        let mut command = keytile.command(&arguments);
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let ran = ended(command.spawn().unwrap()).await.is(0);
        assert_eq!(ran.stderr, "", "{arguments:?}");
    }
    server.stop().await;
}
