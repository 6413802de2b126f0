//! A user's own account.

pub(crate) mod profile;
pub(crate) mod second_factor;
pub(crate) mod sessions;
