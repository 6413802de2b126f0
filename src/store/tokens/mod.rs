//! Sealed access tokens in the database, and the leases for fetching them.

pub(in crate::store) mod access_tokens;
pub(in crate::store) mod fetch_leases;
