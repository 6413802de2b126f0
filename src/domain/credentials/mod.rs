//! Credentials: the form, the values, and the result of a verification.

pub mod credential;
pub mod edit_form;
pub mod form;
pub mod values;
pub mod verification;

pub use self::credential::{CredentialId, CredentialStatus, CredentialSummary};
