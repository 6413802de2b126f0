//! Credentials in the database, with their sealed values, drafts and verifications.

pub(in crate::store) mod change;
pub(in crate::store) mod credential;
pub(in crate::store) mod drafts;
pub(in crate::store) mod verifications;

pub use self::credential::{CredentialDelete, CredentialInsert, CredentialQuery, CredentialRow, DraftKey, NewCredential, Owner};
