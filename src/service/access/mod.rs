//! Who may do what: callers, authorization, groups, sharing, transfers of ownership, and the epoch cache.

pub(in crate::service) mod authorize;
pub mod caller;
pub(in crate::service) mod epoch_cache;
pub mod groups;
pub mod sharing;
pub mod transfer;
