//! The database's own state: readiness and the installation's fingerprint.

pub(in crate::store) mod installation;
pub(in crate::store) mod readiness;
