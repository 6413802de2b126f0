//! The audit trail: recording, reading, exporting and checking it, and changes of settings.

pub(in crate::service) mod record;
pub(in crate::service) mod settings;
pub mod trail;
