//! Access tokens: the broker, which caches, refreshes and fetches them, and issuing them to API clients.

pub mod broker;
pub(in crate::service) mod fetch;
pub mod issue;
pub(in crate::service) mod slot;
