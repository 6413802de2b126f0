//! What Keytile does, a file a use case. `web` and the command line call this and nothing below it.
//!
//! A use case answers with what a person did wrong as part of its result; a [`ServiceError`] is always
//! Keytile's own trouble. Values are opened here and nowhere else, for as long as one call needs them.

pub mod access;
pub mod api_keys;
pub mod audit;
pub mod auth;
mod call_limit;
pub mod connectors;
pub mod credentials;
pub mod operations;
pub mod pagination;
pub mod proxy;
pub mod resources;
pub mod services;
pub mod tokens;
pub mod usage;
pub mod users;

pub use self::operations::installation::InstallationError;
pub use self::services::{OVERVIEW_LIMIT, Overview, Parts, Service, ServiceError};
