//! The command line and its commands.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::{apikey, audit, client, completions, health, init, sandbox, serve, user};
use crate::config::{Config, StorageConfig};

/// Keytile: a self-hosted credential store for data connectors.
#[derive(Debug, Parser)]
#[command(name = "keytile", version, about, max_term_width = 100)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start Keytile.
    Serve(Box<Config>),
    /// Create the keyring and the tables of a new database.
    Init(StorageConfig),
    /// Check or export the audit trail.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Start only the sandbox, for a Keytile server on this machine.
    Sandbox(sandbox::SandboxArguments),
    /// Add, list and change people, whether or not Keytile is running.
    User(user::UserArguments),
    /// Check whether a running Keytile is ready. Exits with 0 if so, 1 if not.
    Health(health::HealthArguments),
    /// Create, list and revoke API keys.
    #[command(subcommand)]
    Apikey(apikey::ApiKeyCommand),
    /// Add, list, test, show and delete credentials through Keytile's API.
    #[command(after_help = EXIT_CODES)]
    Credentials(client::CredentialsArguments),
    /// Add, list, show and delete sources and destinations through Keytile's API.
    #[command(after_help = EXIT_CODES)]
    Resources(client::ResourcesArguments),
    /// Send a request through the proxy to the service of a source or destination.
    #[command(after_help = EXIT_CODES)]
    Curl(client::CurlArguments),
    /// Print an access token for the service of a source or destination.
    #[command(after_help = EXIT_CODES)]
    Token(client::TokenArguments),
    /// Print a completion script for your shell.
    Completions(completions::CompletionsArguments),
    /// Explain the exit codes of credentials, resources, curl and token.
    #[command(after_help = client::exit_codes())]
    ExitCodes,
}

const EXIT_CODES: &str = "Exit codes: keytile help exit-codes";

impl CommandLine {
    /// Runs the command, and prints an error if it fails.
    pub async fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Serve(config) => serve::run(&config).await,
            Command::Init(config) => init::run(&config).await,
            Command::Audit(command) => audit::run(&command).await,
            Command::Sandbox(arguments) => sandbox::run(&arguments).await,
            Command::User(arguments) => user::run(&arguments).await,
            Command::Health(arguments) => health::run(&arguments).await,
            Command::Apikey(command) => apikey::run(&command).await,
            // These have exit codes of their own, which scripts depend on.
            Command::Credentials(arguments) => return client::commands::credentials(&arguments).await,
            Command::Resources(arguments) => return client::commands::resources(&arguments).await,
            Command::Curl(arguments) => return client::commands::curl(&arguments).await,
            Command::Token(arguments) => return client::commands::token(&arguments).await,
            Command::Completions(arguments) => return completions::run(&arguments, Self::command()),
            Command::ExitCodes => return client::commands::print_text(client::exit_codes().as_bytes()),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                eprintln!("keytile: {reason}");
                ExitCode::FAILURE
            }
        }
    }
}
