//! The commands that ask a Keytile over its API: the program as it is run, against a server with the sandbox behind it.

mod completions;
mod connection;
mod credentials;
mod curl;
mod exit_codes;
mod relay;
mod resources;
mod terminal;
mod token;

use std::{
    io::Write,
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    api::{Program, make_key},
    support::server::{ADMINISTRATOR, Server, Setup},
};

/// The secret that the sandbox takes: it must never be seen.
const SECRET: &str = "sandbox-secret";

/// The command line of somebody with an API key.
#[derive(Clone)]
struct Keytile {
    server: String,
    key: String,
}

/// What a command has done.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Keytile {
    async fn with(server: &Server, scopes: &str) -> Self {
        Self { server: server.address.to_string(), key: make_key(server, ADMINISTRATOR, scopes, None).await }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        command.args(arguments).env_clear().env("KEYTILE_SERVER", &self.server).env("KEYTILE_KEY", &self.key);
        command
    }

    /// Runs a command to its end, with nobody at a terminal. Neither secret nor key is in anything that it says.
    async fn run(&self, arguments: &[&str], input: &str) -> Ran {
        self.finish(self.command(arguments), input).await
    }

    async fn finish(&self, command: Command, input: &str) -> Ran {
        let ran = finish(command, input).await;
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains(SECRET) && !text.contains(&self.key), "{text}");
        }
        ran
    }

    /// Runs a command that succeeds; returns its standard output.
    async fn done(&self, arguments: &[&str]) -> String {
        self.run(arguments, "").await.is(0).stdout
    }

    /// Runs a command with `--json` that works; answers what it prints.
    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat()).await).unwrap()
    }

    /// Adds a credential that works; returns its id.
    async fn add_credential(&self, name: &str) -> String {
        self.run(&add(name, "acme"), SECRET).await.is(0).stdout.trim_end().to_owned()
    }
}

impl Ran {
    #[track_caller]
    fn is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// It printed nothing, and says all of these.
    #[track_caller]
    fn says(self, sentences: &[&str]) -> Self {
        assert_eq!(self.stdout, "", "{}", self.stderr);
        for sentence in sentences {
            assert!(self.stderr.contains(sentence), "no {sentence:?} in {}", self.stderr);
        }
        self
    }
}

/// Runs a program on a thread of its own: the server that it asks runs on this one.
async fn finish(mut command: Command, input: &str) -> Ran {
    let input = input.to_owned();
    let run = move || -> Output {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who is refused before standard input is read does not take it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Waits for a child of which something else was looked at.
async fn ended(child: Child) -> Ran {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Adds a credential whose secret comes over standard input.
fn add<'a>(name: &'a str, account: &'a str) -> Vec<&'a str> {
    let account = match account {
        "slow" => "account_name=slow",
        "down" => "account_name=down",
        _ => "account_name=acme",
    };
    let set = ["--set", "client_id=sandbox-client", "--set", account, "--secret-stdin", "client_secret"];
    [&["credentials", "add", "talkdesk", "--name", name][..], &set].concat()
}

/// A Keytile with the sandbox, the command line of somebody who may do everything, and a program that may too.
async fn start() -> (Setup, Server, Keytile, Program) {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let keytile = Keytile::with(&server, "admin proxy tokens:issue").await;
    let program = Program::new(&server, keytile.key.clone());
    (setup, server, keytile, program)
}

/// A destination for contacts.
fn destination(name: &str, credential: &str) -> Value {
    json!({ "kind": "destination", "name": name, "credential": credential, "endpoint": { "method": "POST", "path": "/contacts" } })
}
