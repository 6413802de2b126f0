//! Verifications: when a credential was verified and with what result. The diagnosis is sealed.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{
        audit::Audit,
        credentials::{CredentialId, CredentialStatus, verification::Stage},
        time::Timestamp,
    },
    store::{
        Store, StoreError,
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

/// The most verifications that are kept for a credential.
const KEPT: i64 = 100;

#[derive(Debug, Clone)]
pub struct NewVerification {
    pub id: Uuid,
    /// The version of the credential that was verified.
    pub version: i64,
    /// When it ended.
    pub at: Timestamp,
    /// The last stage that wasn't skipped.
    pub stage: Stage,
    /// The status that it gives the credential.
    pub status: CredentialStatus,
    /// In milliseconds.
    pub duration_ms: i64,
    /// Sealed for `Place::verification(id, credential)`.
    pub sealed: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationRow {
    pub id: Uuid,
    /// When it ended.
    pub at: Timestamp,
    /// Sealed for `Place::verification(id, credential)`.
    pub sealed: Vec<u8>,
}

/// Inserts a verification, in a transaction.
macro_rules! insert_verification {
    ($transaction:expr, $credential:expr, $verification:expr) => {{
        const INSERT: &str = "INSERT INTO verifications (id, credential, ended_at, stage, outcome, duration_ms, sealed)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let verification: &$crate::store::NewVerification = $verification;
        let insert = sqlx::query(INSERT)
            .bind(verification.id)
            .bind($credential)
            .bind(verification.at.as_millis())
            .bind(verification.stage.as_str())
            .bind(verification.status.as_str())
            .bind(verification.duration_ms)
            .bind(&verification.sealed[..]);
        insert.execute(&mut *$transaction).await
    }};
}
pub(in crate::store) use insert_verification;

impl Store {
    /// Stores a verification and updates the credential's status, unless a later verification has done so.
    /// Keeps the newest 100 of a credential. False, with no verification stored, if the credential is gone or
    /// has another version, about which this one says nothing. Records `audit`, if any, in either case.
    pub async fn record_verification(
        &self,
        credential: CredentialId,
        verification: &NewVerification,
        audit: Option<&Audit<'_>>,
    ) -> Result<bool, StoreError> {
        const UPDATE: &str = "UPDATE credentials SET
            status = CASE WHEN verified_at <= $2 THEN $3 ELSE status END,
            verified_at = CASE WHEN verified_at <= $2 THEN $2 ELSE verified_at END
            WHERE id = $1 AND version = $4";
        // Deletes more than one only if there are many from before the limit existed.
        const PRUNE: &str = "DELETE FROM verifications WHERE credential = $1 AND id IN (SELECT id FROM verifications
            WHERE credential = $1 ORDER BY ended_at DESC, id DESC LIMIT 1000 OFFSET $2)";
        transaction!(self, transaction => {
            let update = sqlx::query(UPDATE).bind(credential).bind(verification.at.as_millis()).bind(verification.status.as_str());
            let stored = update.bind(verification.version).execute(&mut *transaction).await?.rows_affected() == 1;
            if stored {
                insert_verification!(transaction, credential, verification)?;
                sqlx::query(PRUNE).bind(credential).bind(KEPT).execute(&mut *transaction).await?;
            }
            if let Some(audit) = audit {
                append_audit!(transaction, audit);
            }
            transaction.commit().await?;
            Ok(stored)
        })
    }

    pub async fn latest_verification(&self, credential: CredentialId) -> Result<Option<VerificationRow>, StoreError> {
        Ok(self.verifications_of(credential, 1).await?.pop())
    }

    /// Newest first, at most `limit`.
    pub async fn verifications_of(&self, credential: CredentialId, limit: i64) -> Result<Vec<VerificationRow>, StoreError> {
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(queries::VERIFICATIONS).bind(credential).bind(limit).fetch_all(pool).await?);
        Ok(rows
            .into_iter()
            .map(|row| VerificationRow { id: row.id, at: Timestamp::from_millis(row.ended_at), sealed: row.sealed })
            .collect())
    }
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    ended_at: i64,
    sealed: Vec<u8>,
}
