//! The command line, nothing else.

use std::process::ExitCode;

use clap::Parser;
use keytile::cli::CommandLine;

#[tokio::main]
async fn main() -> ExitCode {
    CommandLine::parse().run().await
}
