//! Asking somebody at a terminal. Waiting for a person happens on a thread of its own, so that Ctrl-C is heard meanwhile.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use secrecy::SecretString;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::{
    exit::{Exit, Failure},
    output::plain,
};

/// Whether the terminal shows nothing of what is typed. There is one terminal, so that one flag tells.
static HIDDEN: AtomicBool = AtomicBool::new(false);

/// Whether somebody can be asked.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a secret, which is not shown as it is typed.
pub(super) async fn secret(label: &str) -> Result<SecretString, Failure> {
    let prompt = format!("{}: ", plain(label));
    let asked = spawn_blocking(move || {
        HIDDEN.store(true, Ordering::SeqCst);
        let typed = rpassword::prompt_password(prompt).map(Zeroizing::new);
        HIDDEN.store(false, Ordering::SeqCst);
        typed.map(|typed| SecretString::from(typed.as_str()))
    });
    answered(asked.await)
}

/// Asks whether to go on. Only “y” and “yes” mean yes.
pub(super) async fn is_confirmed(question: String) -> Result<bool, Failure> {
    let asked = spawn_blocking(move || {
        let mut output = io::stderr();
        write!(output, "{question} [y/N] ").and_then(|()| output.flush())?;
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
    });
    answered(asked.await)
}

/// Waits until the terminal shows again what is typed. Ctrl-C ends a hidden question by itself, but a moment later.
pub(super) async fn restored() {
    for _ in 0..100 {
        if !HIDDEN.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn answered<T>(asked: Result<io::Result<T>, tokio::task::JoinError>) -> Result<T, Failure> {
    let asked = asked.map_err(io::Error::other).and_then(|asked| asked);
    asked.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::silent(Exit::Interrupted),
        _ => Failure::usage(format!("cannot read from the terminal: {error}")),
    })
}
