//! The commands that use the API of a Keytile, from any machine. They use neither database nor keyring.
//!
//! Secrets come from a prompt, from standard input or from a file. No flag takes one, because every user of the
//! machine can read arguments.

mod add_credential;
pub(in crate::cli) mod commands;
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
mod text;
mod token;

pub(in crate::cli) use self::{
    credentials::CredentialsArguments, curl::CurlArguments, exit::table as exit_codes, resources::ResourcesArguments,
    token::TokenArguments,
};
