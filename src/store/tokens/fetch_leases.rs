//! Which instance fetches the token of a credential: only the one that holds the lease.
//!
//! A lease is a row with the id of its holder and an expiry. One statement takes it by changing the row, so
//! nothing is locked while the service is called, and a holder that dies is replaced when the lease expires.

use uuid::Uuid;

use super::access_tokens::put_token;
use crate::{
    domain::{credentials::CredentialId, time::Timestamp},
    store::{
        NewAccessToken, Store, StoreError, TokenFailure,
        database::{transaction, writing},
    },
};

#[derive(Debug, Clone, Copy)]
pub struct NewLease {
    pub credential: CredentialId,
    /// The credential's version.
    pub version: i64,
    /// The random id of this fetch.
    pub holder: Uuid,
    /// The current time, to tell whether another lease has expired.
    pub now: Timestamp,
    /// The expiry of the new lease.
    pub until: Timestamp,
    /// A holder whose lease is taken even if it hasn't expired by this clock, because it was watched for its
    /// whole duration.
    pub watched: Option<Uuid>,
}

/// The result of storing a fetched token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchStored {
    Stored,
    /// Another fetch has taken the lease, and its result counts.
    LeaseLost,
    /// The credential is gone or has another version.
    Gone,
}

impl Store {
    /// False if another fetch holds the lease, or if the credential is gone or has another version.
    pub async fn take_lease(&self, lease: &NewLease) -> Result<bool, StoreError> {
        // Failures of an older version don't count for this one.
        const TAKE: &str = "INSERT INTO token_fetches (credential, version, holder, lease_until, failures, retry_at, pause)
            SELECT id, version, $3, $4, 0, 0, 0 FROM credentials WHERE id = $1 AND version = $2
            ON CONFLICT (credential) DO UPDATE SET version = excluded.version, holder = excluded.holder,
                lease_until = excluded.lease_until,
                class = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.class END,
                failures = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.failures ELSE 0 END,
                retry_at = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.retry_at ELSE 0 END,
                pause = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.pause ELSE 0 END,
                sealed = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.sealed END
            WHERE token_fetches.version < excluded.version OR (token_fetches.version = excluded.version
                AND (token_fetches.holder IS NULL OR token_fetches.lease_until <= $5 OR token_fetches.holder = $6))";
        let result = writing!(self, pool => {
            let take = sqlx::query(TAKE)
                .bind(lease.credential)
                .bind(lease.version)
                .bind(lease.holder)
                .bind(lease.until.as_millis())
                .bind(lease.now.as_millis())
                .bind(lease.watched.unwrap_or(Uuid::nil()));
            take.execute(pool).await.map(|done| done.rows_affected())
        });
        match result {
            Ok(changed) => Ok(changed == 1),
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Does nothing if this fetch no longer holds the lease.
    pub async fn release_lease(&self, credential: CredentialId, holder: Uuid) -> Result<(), StoreError> {
        const RELEASE: &str = "UPDATE token_fetches SET holder = NULL, lease_until = 0 WHERE credential = $1 AND holder = $2";
        writing!(self, pool => sqlx::query(RELEASE).bind(credential).bind(holder).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Stores the token that the lease holder has fetched, and releases the lease.
    pub async fn put_fetched_token(
        &self,
        credential: CredentialId,
        version: i64,
        holder: Uuid,
        token: &NewAccessToken,
    ) -> Result<FetchStored, StoreError> {
        const FINISH: &str = "UPDATE token_fetches SET holder = NULL, lease_until = 0, class = NULL, failures = 0, retry_at = 0,
            pause = 0, sealed = NULL WHERE credential = $1 AND version = $2 AND holder = $3";
        const PRESENT: &str = "SELECT version FROM credentials WHERE id = $1";
        let result = transaction!(self, transaction => {
            let finish = sqlx::query(FINISH).bind(credential).bind(version).bind(holder);
            if finish.execute(&mut *transaction).await?.rows_affected() == 0 {
                let present: Option<i64> = sqlx::query_scalar(PRESENT).bind(credential).fetch_optional(&mut *transaction).await?;
                return Ok(if present == Some(version) { FetchStored::LeaseLost } else { FetchStored::Gone });
            }
            let put = put_token!(transaction, credential, version, token);
            if matches!(put, Ok(1)) {
                transaction.commit().await?;
            }
            put
        });
        match result {
            Ok(1) => Ok(FetchStored::Stored),
            Ok(_) => Ok(FetchStored::Gone),
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(FetchStored::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores why the lease holder got no token, and releases the lease. False if it no longer holds the
    /// lease.
    pub async fn put_token_failure(
        &self,
        credential: CredentialId,
        version: i64,
        holder: Uuid,
        failure: &TokenFailure,
    ) -> Result<bool, StoreError> {
        const FAIL: &str = "UPDATE token_fetches SET holder = NULL, lease_until = 0, class = $4, failures = $5, retry_at = $6,
            pause = $7, sealed = $8 WHERE credential = $1 AND version = $2 AND holder = $3";
        let changed = writing!(self, pool => {
            let fail = sqlx::query(FAIL)
                .bind(credential)
                .bind(version)
                .bind(holder)
                .bind(failure.class.as_str())
                .bind(i64::from(failure.failures))
                .bind(failure.retry_at.as_millis())
                .bind(failure.pause)
                .bind(&failure.sealed[..]);
            fail.execute(pool).await?.rows_affected()
        });
        Ok(changed == 1)
    }
}
