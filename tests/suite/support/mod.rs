//! What tests run against: servers that they start themselves, on free ports, and that end with them.

pub(crate) mod api_server;
pub(crate) mod authenticator;
pub(crate) mod clock;
pub(crate) mod database;
pub(crate) mod direct;
pub(crate) mod dns_server;
pub(crate) mod fault_server;
pub(crate) mod https;
pub(crate) mod oidc_provider;
pub(crate) mod raw;
pub(crate) mod server;
pub(crate) mod terminal;
pub(crate) mod tls;
