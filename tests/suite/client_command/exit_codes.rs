//! The exit codes are promised: what `docs/cli.md` lists, what `keytile help exit-codes` prints, and what happens.

use axum::{body::Body, http::Response};
use serde_json::json;

use super::{Keytile, SECRET, add, finish, start};
use crate::{api::source, proxy::Scene};

#[tokio::test]
async fn the_page_lists_what_the_program_prints() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.arg("exit-codes").env_clear();
    let printed = finish(command, "").await.is(0).stdout;
    let printed: Vec<(String, String)> = printed
        .lines()
        .map(|line| line.trim().split_once("  ").map(|(code, meaning)| (code.to_owned(), meaning.to_owned())).unwrap())
        .collect();
    let page = include_str!("../../../docs/cli.md");
    let listed: Vec<(String, String)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter(|(code, _)| code.parse::<u8>().is_ok())
        .map(|(code, meaning)| (code.to_owned(), meaning.replace('`', "")))
        .collect();
    assert_eq!(printed, listed);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.args(["help", "exit-codes"]).env_clear();
    let help = finish(command, "").await.is(0).stdout;
    let codes = printed.iter().map(|(code, _)| code);
    assert!(codes.clone().all(|code| help.lines().any(|line| line.trim().starts_with(&format!("{code}  ")))), "{help}");
    assert_eq!(codes.collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "130"]);
}

#[tokio::test]
async fn every_code_means_what_it_says() {
    let (_setup, server, keytile, program) = start().await;
    let credential = keytile.add_credential("Support EU").await;
    program.post("/api/v1/resources", &source("Agents", &credential)).await.is(201);
    // No key ends in this; with a letter, one key in 62 would stay what it is.
    let nobody = Keytile { key: format!("{}!", &keytile.key[..51]), ..keytile.clone() };
    let away = Keytile { server: "http://127.0.0.1:1".into(), ..keytile.clone() };
    let few = Keytile::with(&server, "resources:read").await;
    let unknown = uuid::Uuid::nil().to_string();
    let bad = add("Other", "acme");
    let taken = add("support eu", "acme");
    let down = add("Other", "down");
    for (who, arguments, input, code) in [
        (&keytile, &["credentials", "list"][..], "", 0),
        (&keytile, &["credentials", "list", "--nonsense"], "", 2),
        (&keytile, &["credentials", "add", "talkdesk", "--name", "X"], "", 2),
        (&keytile, &["credentials", "show", "Nobody"], "", 3),
        (&keytile, &["credentials", "show", &unknown], "", 3),
        (&keytile, &["credentials", "test", &unknown], "", 3),
        (&keytile, &["resources", "rm", &unknown, "--yes"], "", 3),
        (&nobody, &["credentials", "list"], "", 4),
        (&few, &["credentials", "rm", &credential, "--yes"], "", 4),
        (&few, &["resources", "rm", "Agents", "--yes"], "", 4),
        (&few, &["curl", "Agents", "/users"], "", 4),
        (&keytile, &bad, "not-the-secret", 5),
        (&keytile, &taken, SECRET, 6),
        (&keytile, &["credentials", "rm", &credential, "--yes"], "", 6),
        (&keytile, &down, SECRET, 7),
        (&away, &["credentials", "list"], "", 7),
        (&keytile, &["curl", "Agents", "/nothing"], "", 8),
        (&keytile, &["curl", "Agents", "/users", "-o", "/absent/file"], "", 2),
    ] {
        let ran = who.run(arguments, input).await;
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        // Where something failed, its reason is on standard error, as a problem with --json.
        if !matches!(code, 0 | 2) {
            assert!(ran.stderr.starts_with("keytile: "), "{arguments:?}: {}", ran.stderr);
        }
        if !matches!(code, 0 | 2 | 8) {
            let json = who.run(&[arguments, &["--json"]].concat(), input).await.is(code);
            let problem: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
            assert!(problem["code"].is_string() && problem["detail"].is_string(), "{}", json.stderr);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stored_credential_that_works_no_more_is_told_by_who_has_to_act() {
    let scene = Scene::set(|_| async { Response::new(Body::empty()) }).await;
    let keytile = Keytile::with(&scene.server, "admin tokens:issue").await;
    for (status, error, code, word) in [(401, "invalid_client", 5, "rejected"), (503, "temporarily_unavailable", 7, "unreachable")]
    {
        scene.service.issues_instead(Some((status, json!({ "error": error }))));
        let failed = keytile.run(&["credentials", "test", "Support"], "").await.is(code);
        failed.says(&["keytile: TalkDesk ", "stage:   ", "remedy:  "]);
        let failed = keytile.run(&["credentials", "test", "Support", "--json"], "").await.is(code);
        let found: serde_json::Value = serde_json::from_str(&failed.stdout).unwrap();
        assert_eq!((&found["passed"], &found["status"], failed.stderr.as_str()), (&json!(false), &json!(word), ""));
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_result_that_cannot_be_written_is_a_failure() {
    let (_setup, server, keytile, _) = start().await;
    let mut command = std::process::Command::new("/bin/sh");
    let environment: Vec<_> =
        keytile.command(&[]).get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect();
    let script = format!("{} credentials list > /dev/full", env!("CARGO_BIN_EXE_keytile"));
    command.args(["-c", &script]).env_clear().envs(environment);
    keytile.finish(command, "").await.is(1).says(&["keytile: cannot write the result: "]);
    server.stop().await;
}
