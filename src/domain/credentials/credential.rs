//! A credential: one saved, verified set of field values of one connector.

use uuid::Uuid;

use crate::domain::{ids::ConnectorId, time::Timestamp};

/// Identifies a credential (UUID version 7, so ids sort by age).
pub type CredentialId = Uuid;

/// Whether a credential worked when it was last tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialStatus {
    /// The last verification passed.
    Verified,
    /// The service refused the credential: somebody has to act on it.
    Rejected,
    /// The last verification could not tell: the service, or the way to it, failed.
    Unreachable,
}

impl CredentialStatus {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
        }
    }

    /// The status that a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Verified, Self::Rejected, Self::Unreachable].into_iter().find(|status| status.as_str() == word)
    }
}

/// What is readable of a stored credential: everything but its field values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSummary {
    /// Its id.
    pub id: CredentialId,
    /// The connector whose fields it fills.
    pub connector: ConnectorId,
    /// Its name, unique for the connector without regard to case.
    pub name: String,
    /// Its description, or an empty text.
    pub description: String,
    /// Whether it worked when it was last tried.
    pub status: CredentialStatus,
    /// When it was last tried.
    pub verified_at: Timestamp,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Grows by one with every change of its field values; starts at 1.
    pub version: i64,
}
