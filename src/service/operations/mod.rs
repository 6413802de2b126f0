//! Running Keytile: readiness, installation, metrics, tracing.

pub(in crate::service) mod installation;
pub(in crate::service) mod metrics;
pub mod readiness;
pub mod tracing;
