//! The commands that ask a Keytile over its API, from any machine. They know nothing of databases and keyrings.
//!
//! Secrets come from a prompt, from standard input or from a file. There is no flag that takes one, since arguments can
//! be read by everybody on a machine.

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
