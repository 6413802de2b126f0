//! The audit trail in the database: appending, reading, checking.

pub(in crate::store) mod append;
pub(in crate::store) mod trail;
