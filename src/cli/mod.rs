//! The command line: a file a command.

mod apikey;
mod audit;
mod client;
mod completions;
mod health;
mod init;
mod logging;
mod prompt;
mod sandbox;
mod serve;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    Serve(Box<crate::config::Config>),
    /// Make the keyring and the tables of a new database.
    Init(crate::config::StorageConfig),
    /// Check or export the audit trail.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Start only the sandbox, for a Keytile that runs elsewhere on this machine.
    Sandbox(sandbox::SandboxArguments),
    /// Add, list and change the people of a Keytile, whether or not it runs.
    User(user::UserArguments),
    /// Ask a running Keytile whether it is well. Exits 0 if so, 1 if not.
    Health(health::HealthArguments),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Apikey(apikey::ApiKeyCommand),
    /// Add, list, test, show and delete credentials of a running Keytile, over its API.
    #[command(after_help = EXIT_CODES)]
    Credentials(client::CredentialsArguments),
    /// Add, list, show and delete sources and destinations of a running Keytile, over its API.
    #[command(after_help = EXIT_CODES)]
    Resources(client::ResourcesArguments),
    /// Send a request to the service of a source or destination, as a pipeline would, through the proxy.
    #[command(after_help = EXIT_CODES)]
    Curl(client::CurlArguments),
    /// Print an access token of the service of a source or destination.
    #[command(after_help = EXIT_CODES)]
    Token(client::TokenArguments),
    /// Print what a shell needs to complete this command line.
    Completions(completions::CompletionsArguments),
    /// Print what the exit codes of credentials, resources, curl and token mean.
    #[command(after_help = client::exit_codes())]
    ExitCodes,
}

const EXIT_CODES: &str = "What the exit codes mean: keytile help exit-codes";

impl CommandLine {
    /// Runs the command; prints why where it fails.
    pub async fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Serve(config) => serve::run(&config).await,
            Command::Init(config) => init::run(&config).await,
            Command::Audit(command) => audit::run(&command).await,
            Command::Sandbox(arguments) => sandbox::run(&arguments).await,
            Command::User(arguments) => user::run(&arguments).await,
            Command::Health(arguments) => health::run(&arguments).await,
            Command::Apikey(command) => apikey::run(&command).await,
            // These have exit codes of their own, by which scripts go.
            Command::Credentials(arguments) => return client::credentials(&arguments).await,
            Command::Resources(arguments) => return client::resources(&arguments).await,
            Command::Curl(arguments) => return client::curl(&arguments).await,
            Command::Token(arguments) => return client::token(&arguments).await,
            Command::Completions(arguments) => return completions::run(&arguments),
            Command::ExitCodes => return client::print_text(client::exit_codes().as_bytes()),
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

/// Ready when the process is asked to stop: SIGTERM or Ctrl-C. Both are listened for from the call on, not only from the
/// first poll: a signal in between would end the process without an answer to anyone.
fn asked_to_stop() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            tracing::error!("signals cannot be listened for; stop Keytile with SIGKILL");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
