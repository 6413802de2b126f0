//! A user's own account: profile, second factor, sessions.

pub(crate) mod profile;
pub(crate) mod second_factor;
pub(crate) mod sessions;
