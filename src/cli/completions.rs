//! `keytile completions`: shell completions, generated from the definition of the command line.

use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};
use clap_complete::{generate, shells};

use super::client;

/// The settings of `keytile completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the completions of a whole command line.
pub(super) fn run(arguments: &CompletionsArguments, mut command: Command) -> ExitCode {
    let name = command.get_name().to_owned();
    // Generated in memory first: writing to a closed pipe would panic.
    let mut script = Vec::new();
    match arguments.shell {
        Shell::Bash => generate(shells::Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, name, &mut script),
    }
    client::commands::print_text(&script)
}
