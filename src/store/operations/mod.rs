//! The state of the database itself: readiness, and the installation's check value.

pub(in crate::store) mod installation;
pub(in crate::store) mod readiness;
