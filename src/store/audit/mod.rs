//! The audit trail in the database: appending and reading events.

pub(in crate::store) mod append;
pub(in crate::store) mod trail;
