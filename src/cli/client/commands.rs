//! Entry points of the commands that use the API.

use std::process::ExitCode;

use super::{
    credentials::CredentialsArguments, curl::CurlArguments, exit::Failure, resources::ResourcesArguments, text::complain,
    token::TokenArguments,
};
use crate::cli::prompt;

pub(in crate::cli) async fn credentials(arguments: &CredentialsArguments) -> ExitCode {
    finish(arguments.connection.json, super::credentials::run(arguments)).await
}

pub(in crate::cli) async fn resources(arguments: &ResourcesArguments) -> ExitCode {
    finish(arguments.connection.json, super::resources::run(arguments)).await
}

pub(in crate::cli) async fn curl(arguments: &CurlArguments) -> ExitCode {
    finish(arguments.connection.json, super::curl::run(arguments)).await
}

pub(in crate::cli) async fn token(arguments: &TokenArguments) -> ExitCode {
    finish(arguments.connection.json, super::token::run(arguments)).await
}

/// Prints a complete text.
pub(in crate::cli) fn print_text(text: &[u8]) -> ExitCode {
    super::output::print(text).map_or_else(|failure| failure.end(false), |()| ExitCode::SUCCESS)
}

/// Runs a command until it ends or Ctrl-C is pressed.
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
