//! Running Keytile: readiness, installation, metrics, traces.

pub(in crate::service) mod installation;
pub(in crate::service) mod metrics;
pub mod readiness;
pub mod tracing;
