//! Users and groups: lists, one user, transfer of ownership.

pub(crate) mod groups;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod transfer;
