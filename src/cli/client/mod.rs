//! The commands that ask a Keytile over its API, from any machine. They know nothing of databases and keyrings.
//!
//! Secrets come from a prompt, from standard input or from a file. There is no flag that takes one, since arguments can
//! be read by everybody on a machine.

mod add_credential;
mod connection;
mod credentials;
mod curl;
mod exit;
mod find;
mod output;
mod progress;
mod resources;
mod secrets;
mod terminal;
mod token;

use std::process::ExitCode;

use self::exit::Failure;
use super::prompt;

pub(super) use self::{
    credentials::CredentialsArguments, curl::CurlArguments, exit::table as exit_codes, output::complain,
    resources::ResourcesArguments, token::TokenArguments,
};

/// `keytile credentials`.
pub(super) async fn credentials(arguments: &CredentialsArguments) -> ExitCode {
    finish(arguments.connection.json, credentials::run(arguments)).await
}

/// `keytile resources`.
pub(super) async fn resources(arguments: &ResourcesArguments) -> ExitCode {
    finish(arguments.connection.json, resources::run(arguments)).await
}

/// `keytile curl`.
pub(super) async fn curl(arguments: &CurlArguments) -> ExitCode {
    finish(arguments.connection.json, curl::run(arguments)).await
}

/// `keytile token`.
pub(super) async fn token(arguments: &TokenArguments) -> ExitCode {
    finish(arguments.connection.json, token::run(arguments)).await
}

/// Prints what is printed as a whole.
pub(super) fn print_text(text: &[u8]) -> ExitCode {
    output::print(text).map_or_else(|failure| failure.end(false), |()| ExitCode::SUCCESS)
}

/// Carries out a command, until Ctrl-C.
async fn finish(json: bool, command: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let ended = tokio::select! {
        biased;
        result = command => Some(result),
        _ = tokio::signal::ctrl_c() => None,
    };
    match ended {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(failure)) if failure.exit() == exit::Exit::Interrupted => interrupted(),
        Some(Err(failure)) => failure.end(json),
        None => interrupted(),
    }
}

/// Ends at once: a thread that waits for somebody to type would otherwise be waited for.
fn interrupted() -> ExitCode {
    prompt::leave();
    complain("");
    std::process::exit(exit::Exit::Interrupted as i32)
}
