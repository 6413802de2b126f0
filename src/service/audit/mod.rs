//! The audit trail: recording, reading, exporting, checking.

pub(in crate::service) mod record;
pub(in crate::service) mod settings;
pub mod trail;
