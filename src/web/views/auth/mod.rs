//! Views of sign-in.

pub(crate) mod sso;
