//! The token broker: gets, caches and refreshes access tokens.

pub mod broker;
pub(in crate::service) mod fetch;
pub mod issue;
pub(in crate::service) mod slot;
