//! The pages, one per file. A handler makes one call of the service and shows the result, with a template that has
//! the name of its page.

pub(super) mod account;
pub(crate) mod api_docs;
pub(super) mod api_keys;
pub(crate) mod audit;
pub(super) mod auth;
pub(crate) mod connectors;
pub(super) mod credentials;
pub(crate) mod delete;
pub(crate) mod health;
pub(crate) mod home;
pub(super) mod resources;
pub(crate) mod usage;
pub(super) mod users;
