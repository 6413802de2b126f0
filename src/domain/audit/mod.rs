//! What the audit trail records, and the hash chain that reveals a missing event.

pub mod chain;
pub mod event;

pub use self::event::{Audit, AuditActor, AuditChain, AuditCredential, AuditEvent, AuditRecord, AuditTarget, TEXT_MAX};
