//! What somebody at a terminal types and sees. `script` (util-linux) makes the terminal.

use std::{
    ffi::OsString,
    io::{Read, Write},
    process::{Command, Stdio},
};

/// What is waited for before something is typed.
pub(crate) enum Awaited {
    /// The terminal has got this text to show.
    Shown(String),
    /// Something else; it returns when that has happened.
    Event(Box<dyn FnOnce() + Send>),
}

pub(crate) fn shown(text: &str) -> Awaited {
    Awaited::Shown(text.to_owned())
}

/// Runs the program with these arguments, as a shell reads them, at a terminal of 60 columns. Each part of the dialogue
/// is what is waited for, and what is typed then. Answers all that the terminal got to show, and the exit code.
pub(crate) async fn talk(
    arguments: &str,
    environment: Vec<(OsString, OsString)>,
    dialogue: Vec<(Awaited, String)>,
) -> (String, i32) {
    // Ctrl-C reaches everything at the terminal; the shell is to go on and say how the command ended.
    let line = format!("trap : INT; stty cols 60 rows 24; {} {arguments}; echo code=$?=; stty -a", env!("CARGO_BIN_EXE_keytile"));
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
            let has_come = |awaited: &Awaited| match awaited {
                Awaited::Shown(text) => String::from_utf8_lossy(&seen).contains(text.as_str()),
                Awaited::Event(_) => true,
            };
            while let Some((awaited, typed)) = dialogue.next_if(|(awaited, _)| has_come(awaited)) {
                if let Awaited::Event(event) = awaited {
                    event();
                }
                input.write_all(typed.as_bytes()).unwrap();
            }
            let read = output.read(&mut piece).unwrap();
            if read == 0 {
                break;
            }
            seen.extend_from_slice(&piece[..read]);
        }
        child.wait().unwrap();
        assert!(dialogue.next().is_none(), "not all was asked: {}", String::from_utf8_lossy(&seen));
        String::from_utf8(seen).unwrap()
    };
    let seen = tokio::task::spawn_blocking(talk).await.unwrap();
    let code = seen.rsplit("code=").next().unwrap().split('=').next().unwrap().parse().unwrap();
    (seen, code)
}

/// Whether the terminal was left as it was: it shows what is typed, and takes it by lines.
pub(crate) fn shows_again(seen: &str) -> bool {
    let modes: Vec<&str> = seen.rsplit("code=").next().unwrap().split_whitespace().collect();
    ["echo", "icanon", "isig"].iter().all(|mode| modes.contains(mode))
}
