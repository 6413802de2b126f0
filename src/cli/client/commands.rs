//! The commands that ask a Keytile over its API, from any machine. They know nothing of databases and keyrings.
//!
//! Secrets come from a prompt, from standard input or from a file. There is no flag that takes one, since arguments can
//! be read by everybody on a machine.

use std::process::ExitCode;

use super::{
    credentials::CredentialsArguments, curl::CurlArguments, exit::Failure, resources::ResourcesArguments, text::complain,
    token::TokenArguments,
};
use crate::cli::prompt;

/// `keytile credentials`.
pub(in crate::cli) async fn credentials(arguments: &CredentialsArguments) -> ExitCode {
    finish(arguments.connection.json, super::credentials::run(arguments)).await
}

/// `keytile resources`.
pub(in crate::cli) async fn resources(arguments: &ResourcesArguments) -> ExitCode {
    finish(arguments.connection.json, super::resources::run(arguments)).await
}

/// `keytile curl`.
pub(in crate::cli) async fn curl(arguments: &CurlArguments) -> ExitCode {
    finish(arguments.connection.json, super::curl::run(arguments)).await
}

/// `keytile token`.
pub(in crate::cli) async fn token(arguments: &TokenArguments) -> ExitCode {
    finish(arguments.connection.json, super::token::run(arguments)).await
}

/// Prints what is printed as a whole.
pub(in crate::cli) fn print_text(text: &[u8]) -> ExitCode {
    super::output::print(text).map_or_else(|failure| failure.end(false), |()| ExitCode::SUCCESS)
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
        Some(Err(failure)) if failure.exit() == super::exit::Exit::Interrupted => interrupted(),
        Some(Err(failure)) => failure.end(json),
        None => interrupted(),
    }
}

/// Ends at once: a thread that waits for somebody to type would otherwise be waited for.
fn interrupted() -> ExitCode {
    prompt::leave();
    complain("");
    std::process::exit(super::exit::Exit::Interrupted as i32)
}
