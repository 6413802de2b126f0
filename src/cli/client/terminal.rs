//! Prompts on a terminal. They wait on a separate thread, so that Ctrl-C works in the meantime.

use std::io::{self, IsTerminal, Write};

use secrecy::SecretString;
use tokio::task::spawn_blocking;

use super::{
    exit::{Exit, Failure},
    text::plain,
};
use crate::cli::prompt::Hidden;

/// True if there is a terminal to prompt on.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Has the terminal show nothing of what is typed before the first secret is asked for, as far as it is ours to say.
pub(super) fn hidden() -> Option<Hidden> {
    is_there().then(Hidden::begin_in_foreground).flatten()
}

/// Asks for a secret, which is not shown as it is typed.
pub(super) async fn secret(label: &str) -> Result<SecretString, Failure> {
    let prompt = format!("{}: ", plain(label));
    let asked = spawn_blocking(move || {
        let typed = Hidden::begin()?.ask(&prompt)?;
        Ok(SecretString::from(typed.as_str()))
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

fn answered<T>(asked: Result<io::Result<T>, tokio::task::JoinError>) -> Result<T, Failure> {
    let asked = asked.map_err(io::Error::other).and_then(|asked| asked);
    asked.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::silent(Exit::Interrupted),
        _ => Failure::usage(format!("cannot read from the terminal: {error}")),
    })
}
