//! The command line, one command per file.

mod apikey;
mod audit;
mod client;
pub mod command;
mod completions;
mod health;
mod init;
mod logging;
mod prompt;
mod sandbox;
mod serve;
mod signals;
mod user;

pub use self::command::CommandLine;
