//! `keytile token`.

use serde_json::json;

use super::{Keytile, start};
use crate::api::source;

#[tokio::test]
async fn only_the_token_is_printed_or_only_its_header() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    let id = program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201).id().to_owned();
    let issued = program.post(&format!("/api/v1/resources/{id}/token"), &json!({})).await.is(200);
    let token = issued.body["access_token"].as_str().unwrap();
    let printed = keytile.run(&["token", "agents"], "").await.is(0);
    assert_eq!((printed.stdout, printed.stderr.as_str()), (format!("{token}\n"), ""));
    let header =
        format!("{}: {}\n", issued.body["header"]["name"].as_str().unwrap(), issued.body["header"]["value"].as_str().unwrap());
    assert_eq!(keytile.done(&["token", &id, "--header"]).await, header);
    let json = keytile.json(&["token", &id, "--min-validity", "60"]).await;
    assert_eq!(json["access_token"], token);
    let refused = keytile.run(&["token", &id, "--min-validity", "99999999"], "").await.is(2);
    refused.says(&["keytile: --min-validity: "]);
    server.stop().await;
}

#[tokio::test]
async fn a_key_that_lists_nothing_is_told_to_use_ids() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    let id = program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201).id().to_owned();
    let narrow = Keytile::with(&server, "tokens:issue").await;
    assert!(!narrow.done(&["token", &id]).await.trim().is_empty());
    narrow.run(&["token", "Agents"], "").await.is(4).says(&["use its id, or another key"]);
    let other = Keytile::with(&server, "proxy").await;
    other.run(&["token", &id], "").await.is(4).says(&["tokens:issue"]);
    server.stop().await;
}
