//! What a failure means: faults and responses turned into diagnoses that hold no secret.

pub(in crate::upstream) mod diagnose;
pub(in crate::upstream) mod redactor;
pub(in crate::upstream) mod retry_after;
pub(in crate::upstream) mod secret_scanner;
