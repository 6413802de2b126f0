//! A credential: one saved, verified set of field values for one connector.

use uuid::Uuid;

use crate::domain::{ids::ConnectorId, time::Timestamp};

/// UUID version 7, so ids sort by age.
pub type CredentialId = Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialStatus {
    /// The last verification passed.
    Verified,
    /// The service rejected the credential: someone has to change it.
    Rejected,
    /// The last verification gave no result: the service, or the way to it, failed.
    Unreachable,
}

impl CredentialStatus {
    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Verified, Self::Rejected, Self::Unreachable].into_iter().find(|status| status.as_str() == word)
    }
}

/// Everything about a stored credential except its field values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSummary {
    pub id: CredentialId,
    pub connector: ConnectorId,
    /// Unique within the connector, ignoring case.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The result of the last verification.
    pub status: CredentialStatus,
    /// When it was last verified.
    pub verified_at: Timestamp,
    pub created_at: Timestamp,
    /// Increases by one with every change of its field values; starts at 1.
    pub version: i64,
}
