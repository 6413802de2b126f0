//! Access tokens in the database, sealed, and the leases of those who fetch them.

pub(in crate::store) mod access_tokens;
pub(in crate::store) mod fetch_leases;
