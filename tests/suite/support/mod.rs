//! What tests run against: servers that they start themselves, on free ports, and that end with them.

pub(crate) mod dns_server;
pub(crate) mod fault_server;
pub(crate) mod tls;
