//! Verifications: when a credential was tried and how it ended. What was found is sealed.

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

/// How many verifications of a credential are kept.
const KEPT: i64 = 100;

/// A verification to be stored.
#[derive(Debug, Clone)]
pub struct NewVerification {
    /// Its id.
    pub id: Uuid,
    /// The version of the credential that was tried.
    pub version: i64,
    /// When it ended.
    pub at: Timestamp,
    /// The last stage that passed or failed.
    pub stage: Stage,
    /// The status that it gives the credential.
    pub status: CredentialStatus,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// What was found, sealed for `Place::verification(id, credential)`.
    pub sealed: Vec<u8>,
}

/// A stored verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationRow {
    /// Its id.
    pub id: Uuid,
    /// When it ended.
    pub at: Timestamp,
    /// What was found, sealed for `Place::verification(id, credential)`.
    pub sealed: Vec<u8>,
}

/// Inserts a verification within a transaction.
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
    /// Stores a verification and gives the credential its status, unless a later verification has given it one. The
    /// newest 100 of a credential are kept. False, with nothing stored, if there is no such credential or it has another
    /// version by now, of which this says nothing. Recorded in the audit trail in any case where somebody asked for it.
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
        // More than one goes only where older ones are, from before there was a bound.
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

    /// The last verification of a credential.
    pub async fn latest_verification(&self, credential: CredentialId) -> Result<Option<VerificationRow>, StoreError> {
        Ok(self.verifications_of(credential, 1).await?.pop())
    }

    /// The verifications of a credential, newest first, at most `limit`.
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
