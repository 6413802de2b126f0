//! What somebody at a terminal sees. `script` (util-linux) makes the terminal.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    time::Duration,
};

use super::{Keytile, SECRET, start};
use crate::{api::source, support::server::Setup};

/// Runs a command at a terminal of 60 columns. Each line of `dialogue` is a text that is waited for, and what is typed
/// then. Answers all that the terminal got to show, and the exit code.
async fn at_a_terminal(keytile: &Keytile, command: &str, dialogue: &[(&str, &str)]) -> (String, i32) {
    let environment: Vec<_> =
        keytile.command(&[]).get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect();
    // Ctrl-C reaches everything at the terminal; the shell is to go on and say how the command ended.
    let line = format!("trap : INT; stty cols 60 rows 24; {} {command}; echo code=$?=", env!("CARGO_BIN_EXE_keytile"));
    let dialogue: Vec<(String, String)> = dialogue.iter().map(|(wait, typed)| ((*wait).to_owned(), (*typed).to_owned())).collect();
    let talk = move || {
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .envs(environment)
            .env("PATH", "/usr/bin:/bin")
            .env("SHELL", "/bin/sh");
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut seen = Vec::new();
        let mut dialogue = dialogue.into_iter().peekable();
        let mut piece = [0; 1_024];
        loop {
            let read = output.read(&mut piece).unwrap();
            if read == 0 {
                break;
            }
            seen.extend_from_slice(&piece[..read]);
            if let Some((_, typed)) = dialogue.next_if(|(wait, _)| String::from_utf8_lossy(&seen).contains(wait.as_str())) {
                input.write_all(typed.as_bytes()).unwrap();
            }
        }
        child.wait().unwrap();
        assert!(dialogue.next().is_none(), "not all was asked: {}", String::from_utf8_lossy(&seen));
        String::from_utf8(seen).unwrap()
    };
    let seen = tokio::task::spawn_blocking(talk).await.unwrap();
    let code = seen.rsplit("code=").next().unwrap().split('=').next().unwrap().parse().unwrap();
    (seen, code)
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
