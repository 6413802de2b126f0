//! `keytile credentials`.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::json;

use super::{
    SECRET, add, ended,
    relay::{Fate, Relay},
    start,
};
use crate::api::credential;

#[tokio::test]
async fn a_credential_is_added_listed_shown_tested_and_deleted() {
    let (setup, server, keytile, program) = start().await;
    let file = setup.folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let from_file = format!("client_secret={}", file.display());
    let fields = ["--set", "client_id=sandbox-client", "--set", "account_name=acme", "--secret-file", &from_file];
    let names = ["--name", "Support EU", "--description", "Nightly"];
    let added = keytile.run(&[&["credentials", "add", "talkdesk"][..], &names, &fields].concat(), "").await.is(0);
    assert_eq!(added.stderr, "“Support EU” was verified with TalkDesk and saved.\n");
    let id = added.stdout.trim_end();
    let stored = program.get(&format!("/api/v1/credentials/{id}")).await.is(200);
    assert_eq!(
        (&stored.body["name"], &stored.body["description"], &stored.body["fields"]["account_name"], &stored.body["status"]),
        (&json!("Support EU"), &json!("Nightly"), &json!("acme"), &json!("verified"))
    );

    let listed = keytile.done(&["credentials", "list"]).await;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("ACCOUNT"), "{listed}");
    assert_eq!(lines[1..], [format!("{id}  verified  talkdesk   Support EU  acme")]);
    let shown = keytile.done(&["credentials", "show", "support eu"]).await;
    for part in ["Name:", "Support EU", id, "Nightly", "client_secret:", "(secret)", "client_id:", "sandbox-client"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    assert_eq!(keytile.done(&["credentials", "test", id]).await, "“Support EU” works.\n");
    let tests = program.get(&format!("/api/v1/credentials/{id}/verifications")).await;
    assert_eq!(tests.body["items"].as_array().unwrap().len(), 2, "{}", tests.text);
    let gone = keytile.run(&["credentials", "rm", "Support EU", "--yes"], "").await.is(0);
    assert_eq!(gone.stderr, format!("Deleted the credential “Support EU” (talkdesk, {id}).\n"));
    program.get(&format!("/api/v1/credentials/{id}")).await.is(404);
    server.stop().await;
}

#[tokio::test]
async fn json_is_what_the_api_answers() {
    let (_setup, server, keytile, program) = start().await;
    let added = keytile.run(&[&add("One", "acme")[..], &["--json"]].concat(), SECRET).await.is(0);
    let added: serde_json::Value = serde_json::from_str(&added.stdout).unwrap();
    let path = format!("/api/v1/credentials/{}", added["id"].as_str().unwrap());
    assert_eq!(added, program.get(&path).await.body);
    let shown = keytile.done(&["credentials", "show", "One", "--json"]).await;
    assert_eq!(shown, format!("{}\n", program.get(&path).await.text));
    program.post("/api/v1/credentials", &credential("Two")).await.is(201);
    let listed = keytile.json(&["credentials", "list"]).await;
    assert_eq!(listed, program.get("/api/v1/credentials").await.body);
    let named = |value: &serde_json::Value| -> Vec<String> {
        value["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&listed), ["Two", "One"]);
    assert_eq!(named(&keytile.json(&["credentials", "list", "--search", "tw"]).await), ["Two"]);
    assert!(named(&keytile.json(&["credentials", "list", "--connector", "oauth2-client-credentials"]).await).is_empty());
    let tested = keytile.json(&["credentials", "test", "One"]).await;
    assert_eq!((&tested["passed"], tested["stages"].as_array().unwrap().len()), (&json!(true), 8));
    server.stop().await;
}

#[tokio::test]
async fn a_secret_on_the_command_line_is_refused() {
    let (_setup, server, keytile, program) = start().await;
    let set = ["--set", "client_id=sandbox-client", "--set", "account_name=acme", "--set", "client_secret=sandbox-secret"];
    let refused = keytile.run(&[&["credentials", "add", "talkdesk", "--name", "X"][..], &set].concat(), "").await.is(2);
    refused.says(&["--set: client_secret is a secret", "--secret-file client_secret=FILE", "--secret-stdin client_secret"]);
    assert_eq!(program.get("/api/v1/credentials").await.body["items"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn what_is_missing_or_unknown_is_said_by_its_flag_before_anything_is_asked() {
    let (_setup, server, keytile, _) = start().await;
    let begin = ["credentials", "add", "talkdesk", "--name", "X"];
    let missing = keytile.run(&[&begin[..], &["--set", "client_id=sandbox-client"]].concat(), "").await.is(2);
    missing.says(&[
        "Client Secret: use --secret-file client_secret=FILE or --secret-stdin client_secret",
        "Account Name: use --set account_name=VALUE",
    ]);
    let unknown = keytile.run(&[&begin[..], &["--set", "colour=red"]].concat(), "").await.is(2);
    unknown.says(&["--set: there is no field \"colour\"; the fields are client_id, client_secret, account_name"]);
    let twice = keytile.run(&[&begin[..], &["--set", "client_id=a", "--secret-stdin", "client_id"]].concat(), "").await.is(2);
    twice.says(&["--secret-stdin: client_id is set twice"]);
    let absent =
        [&begin[..], &["--set", "client_id=a", "--set", "account_name=acme", "--secret-file", "client_secret=/absent"]].concat();
    keytile.run(&absent, "").await.is(2).says(&["--secret-file client_secret: /absent cannot be read"]);
    let nameless = keytile.run(&["credentials", "add", "talkdesk", "--name", "X", "--set", "sandbox-secret"], "").await;
    nameless.is(2).says(&["--set: expected NAME=VALUE"]);
    let connector = keytile.run(&["credentials", "add", "../credentials", "--name", "X"], "").await.is(3);
    connector.says(&["there is no connector \"../credentials\"; the connectors are ", "talkdesk"]);
    server.stop().await;
}

#[tokio::test]
async fn what_the_service_does_not_accept_is_told_with_stage_field_and_remedy() {
    let (_setup, server, keytile, program) = start().await;
    let rejected = keytile.run(&add("X", "acme"), "not-the-secret").await.is(5);
    assert!(!rejected.stderr.contains("not-the-secret"));
    let rejected = rejected.says(&["Nothing was saved.", "stage:   oauth", "field:   client_id, client_secret", "remedy:  "]);
    assert!(rejected.stderr.starts_with("keytile: TalkDesk "), "{}", rejected.stderr);
    let down = keytile.run(&add("X", "down"), SECRET).await.is(7);
    down.says(&["Nothing was saved.", "stage:   http"]);
    let json = keytile.run(&[&add("X", "acme")[..], &["--json"]].concat(), "not-the-secret").await.is(5).says(&[]);
    let problem: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!((&problem["code"], &problem["verification"]["passed"]), (&json!("verification_rejected"), &json!(false)));
    assert_eq!(program.get("/api/v1/credentials").await.body["items"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_deleted_without_a_yes() {
    let (_setup, server, keytile, program) = start().await;
    let id = keytile.add_credential("Kept").await;
    keytile.run(&["credentials", "rm", "Kept"], "y\n").await.is(2).says(&["pass --yes"]);
    program.get(&format!("/api/v1/credentials/{id}")).await.is(200);
    server.stop().await;
}

#[tokio::test]
async fn a_name_that_several_have_is_refused_with_their_ids() {
    let (_setup, server, keytile, program) = start().await;
    let id = keytile.add_credential("Shared name").await;
    let mut other = credential("shared NAME");
    other["connector"] = json!("oauth2-client-credentials");
    other["fields"] = json!({ "token_url": "https://acme.talkdeskid.com/oauth/token", "client_id": "sandbox-client", "client_secret": SECRET,
        "api_base_url": "https://api.talkdeskapp.com" });
    let schema = program.get("/api/v1/connectors/oauth2-client-credentials").await.body["fields_schema"]["required"].clone();
    let other = program.post("/api/v1/credentials", &other).await;
    assert_eq!(other.status, 201, "{} {schema}", other.text);
    let refused = keytile.run(&["credentials", "show", "Shared Name"], "").await.is(6);
    refused.says(&["“Shared Name” is the name of several", &id, other.id(), "talkdesk", "oauth2-client-credentials"]);
    keytile.run(&["credentials", "show", &id], "").await.is(0);
    server.stop().await;
}

#[tokio::test]
async fn the_secret_is_in_no_argument_and_ctrl_c_ends_the_wait() {
    let (_setup, server, keytile, program) = start().await;
    let relay = Relay::start(&server, |request, _| if request.starts_with("POST") { Fate::Keep } else { Fate::Pass });
    let mut command = keytile.command(&add("X", "acme"));
    command.env("KEYTILE_SERVER", format!("http://{}", relay.address));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), SECRET.as_bytes()).unwrap();
    let sent = move || relay.requests.iter().find(|request| request.starts_with("POST")).unwrap();
    let sent = tokio::task::spawn_blocking(sent).await.unwrap();
    assert!(sent.contains(SECRET), "it is sent to Keytile: {sent}");
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        assert!(!text.is_empty() && !String::from_utf8_lossy(&text).contains(SECRET), "{file}");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ran = ended(child).await;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.trim()), (Some(130), "", ""));
    assert_eq!(program.get("/api/v1/credentials").await.body["items"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_credential_whose_answer_is_lost_is_added_once() {
    let (_setup, server, keytile, program) = start().await;
    let posts = std::sync::atomic::AtomicUsize::new(0);
    let relay = Relay::start(&server, move |request, _| {
        let is_first = request.starts_with("POST") && posts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        if is_first { Fate::LoseAnswer } else { Fate::Pass }
    });
    let mut command = keytile.command(&add("Once", "acme"));
    command.env("KEYTILE_SERVER", format!("http://{}", relay.address));
    let added = keytile.finish(command, SECRET).await.is(0);
    let listed = program.get("/api/v1/credentials").await.body["items"].clone();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!(added.stdout.trim_end())));
    assert_eq!(relay.requests.try_iter().filter(|request| request.starts_with("POST")).count(), 2);
    server.stop().await;
}
