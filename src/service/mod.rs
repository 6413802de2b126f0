//! The use cases of Keytile, by subject. `web` and the command line call this layer and nothing below it.
//!
//! A user's mistake is part of a use case's result; a [`ServiceError`] is always a failure of Keytile or its
//! database. Sealed values are opened only here, for as long as a call needs them.

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
