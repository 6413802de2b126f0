//! What somebody at a terminal sees.

use std::{ffi::OsString, sync::mpsc::channel, time::Duration};

use super::{
    Keytile, SECRET,
    relay::{Fate, Relay},
    start,
};
use crate::{
    api::source,
    support::{
        server::Setup,
        terminal::{self, Awaited, shown},
    },
};

/// Runs a command of somebody with an API key at a terminal: see [`terminal::talk`].
async fn at_a_terminal(keytile: &Keytile, command: &str, dialogue: &[(&str, &str)]) -> (String, i32) {
    let dialogue = dialogue.iter().map(|(wait, typed)| (shown(wait), (*typed).to_owned())).collect();
    terminal::talk(command, environment(keytile), dialogue).await
}

fn environment(keytile: &Keytile) -> Vec<(OsString, OsString)> {
    keytile.command(&[]).get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect()
}

const ADD: &str = "credentials add talkdesk --name X --set client_id=sandbox-client --set account_name=";

#[tokio::test]
async fn a_secret_is_asked_for_and_not_shown() {
    let (_setup, server, keytile, program) = start().await;
    let typed = format!("{SECRET}\n");
    let (seen, code) = at_a_terminal(&keytile, &format!("{ADD}acme"), &[("Client Secret: ", &typed)]).await;
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains(SECRET) && seen.contains("“X” was verified with TalkDesk and saved."), "{seen}");
    assert_eq!(program.get("/api/v1/credentials").await.body["items"][0]["name"], "X");
    let (seen, code) = at_a_terminal(&keytile, &format!("{ADD}acme"), &[("Client Secret: ", "\u{3}")]).await;
    assert_eq!(code, 130, "{seen}");
    assert!(terminal::shows_again(&seen), "{seen}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_typed_before_a_secret_is_asked_for_is_its_beginning_and_not_shown() {
    let (_setup, server, mut keytile, program) = start().await;
    // The first request reads the fields of the connector, and is held up until something was typed.
    let ((comes, first), (typed, go_on)) = (channel(), channel::<()>());
    let relay = Relay::start(&server, move |_, number| {
        if number == 0 {
            comes.send(()).unwrap();
            go_on.recv().unwrap();
        }
        Fate::Pass
    });
    keytile.server = format!("http://{}/", relay.address);
    let (before, after) = SECRET.split_at(7);
    let dialogue = vec![
        (Awaited::Event(Box::new(move || first.recv().unwrap())), before.to_owned()),
        (Awaited::Event(Box::new(move || typed.send(()).unwrap())), String::new()),
        (shown("Client Secret: "), format!("{after}\n")),
    ];
    let (seen, code) = terminal::talk(&format!("{ADD}acme"), environment(&keytile), dialogue).await;
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains(before) && !seen.contains(after) && terminal::shows_again(&seen), "{seen}");
    assert_eq!(program.get("/api/v1/credentials").await.body["items"][0]["name"], "X");
    server.stop().await;
}

#[tokio::test]
async fn what_takes_over_a_second_says_so_and_is_erased() {
    let mut setup = Setup::sandbox();
    setup.overrides.limits.request = Duration::from_millis(3_000);
    let server = setup.start().await;
    let keytile = Keytile::with(&server, "admin").await;
    let typed = format!("{SECRET}\n");
    let (seen, code) = at_a_terminal(&keytile, &format!("{ADD}slow"), &[("Client Secret: ", &typed)]).await;
    assert_eq!(code, 7, "{seen}");
    let (before, after) = seen.split_once("\rVerifying with TalkDesk… 1 s ").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(!before.contains('…'), "{before:?}");
    let erased = format!("\r{}\r", " ".repeat(59));
    let (_, end) = after.split_once(&erased).unwrap_or_else(|| panic!("{seen:?}"));
    assert!(end.starts_with("keytile: ") && !end.contains("Verifying with"), "{end:?}");
    // Where nobody is looking, there is no such line.
    let ran = keytile.run(&super::add("X", "slow"), SECRET).await.is(7);
    assert!(!ran.stderr.contains('…') && !ran.stderr.contains('\r'), "{}", ran.stderr);
    server.stop().await;
}

#[tokio::test]
async fn a_table_is_fitted_to_the_terminal() {
    let (_setup, server, keytile, _) = start().await;
    let id = keytile.add_credential("A credential with a name that is far too long for this terminal").await;
    let (seen, code) = at_a_terminal(&keytile, "credentials list", &[]).await;
    assert_eq!(code, 0, "{seen}");
    let line = seen.lines().find(|line| line.contains(&id)).unwrap_or_else(|| panic!("{seen}"));
    assert!(line.contains("A cre…"), "{line}");
    let widest = keytile.done(&["credentials", "list"]).await;
    assert!(widest.contains("far too long for this terminal  acme"), "{widest}");
    server.stop().await;
}

#[tokio::test]
async fn a_deletion_is_asked_about() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    let agents = program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201).id().to_owned();
    let question = format!("Delete the source “Agents” (talkdesk, {agents})? [y/N] ");
    let (seen, code) = at_a_terminal(&keytile, "resources rm agents", &[(&question, "\n")]).await;
    assert!(code == 1 && seen.contains("keytile: nothing was deleted"), "{seen}");
    let (seen, code) = at_a_terminal(&keytile, "resources rm agents", &[(&question, "\u{3}")]).await;
    assert_eq!(code, 130, "{seen}");
    program.get(&format!("/api/v1/resources/{agents}")).await.is(200);
    let (seen, code) = at_a_terminal(&keytile, "resources rm agents", &[(&question, "y\n")]).await;
    assert!(code == 0 && seen.contains("Deleted the source “Agents”"), "{seen}");
    program.get(&format!("/api/v1/resources/{agents}")).await.is(404);
    server.stop().await;
}

#[tokio::test]
async fn a_token_on_a_terminal_comes_with_a_hint() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201);
    let (seen, code) = at_a_terminal(&keytile, "token Agents", &[]).await;
    assert!(code == 0 && seen.contains("This is a secret, valid for "), "{seen}");
    server.stop().await;
}
