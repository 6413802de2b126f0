//! Egress: where calls may go. Resolver, guard, pins, TLS, and the limit per host.

pub(in crate::upstream) mod guard;
pub(in crate::upstream) mod host_limit;
pub(in crate::upstream) mod pin;
pub(in crate::upstream) mod resolver;
pub(in crate::upstream) mod tls;
