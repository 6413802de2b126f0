//! Users and groups.

pub(crate) mod groups;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod transfer;
