//! Credentials: list, overlay, one credential, edit, sharing.

pub(crate) mod create;
pub(crate) mod edit;
pub(crate) mod list;
pub(crate) mod overlay;
pub(crate) mod sharing;
pub(crate) mod show;
