//! The version of the API.

/// What the addresses of this version begin with.
pub(super) const VERSION: &str = "/api/v1";
