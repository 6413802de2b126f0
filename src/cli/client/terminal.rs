//! Prompts on a terminal. They wait on a separate thread, so that Ctrl-C works in the meantime.

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

/// True while the terminal doesn't echo. A single flag, because there is one terminal.
static HIDDEN: AtomicBool = AtomicBool::new(false);

/// True if there is a terminal to prompt on.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Prompts for a secret, without echo.
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

/// Asks for confirmation. Only "y" and "yes" confirm.
pub(super) async fn is_confirmed(question: String) -> Result<bool, Failure> {
    let asked = spawn_blocking(move || {
        let mut output = io::stderr();
        write!(output, "{question} [y/N] ").and_then(|()| output.flush())?;
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
    });
    answered(asked.await)
}

/// Waits until the terminal echoes again. Ctrl-C ends a hidden prompt by itself, but a moment later.
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
        _ => Failure::usage(format!("the terminal cannot be asked: {error}")),
    })
}
