//! Signing in, setup, and choosing a password.

pub(crate) mod code;
pub(crate) mod password_link;
pub(crate) mod setup;
pub(crate) mod sign_in;
pub(crate) mod sso;
