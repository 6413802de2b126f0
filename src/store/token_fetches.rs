//! Fetching access tokens: which instance does it, and what came of it. A lease that ends by itself, in one row a
//! credential, and plain statements that every database with the ways of PostgreSQL or SQLite runs.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, StoreError,
    database::{reading, transaction, writing},
    lookups,
};
use crate::domain::{credential::CredentialId, time::Timestamp, token_state::FailureClass};

/// A fetch that wants to begin.
#[derive(Debug, Clone)]
pub struct FetchClaim {
    /// For which credential.
    pub credential: CredentialId,
    /// For which version of it.
    pub version: i64,
    /// The random id of the fetch.
    pub holder: Uuid,
    /// The time.
    pub now: Timestamp,
    /// When it counts as given up.
    pub lease_until: Timestamp,
    /// A fetch that is known to be given up, whatever the clocks say.
    pub instead_of: Option<Uuid>,
    /// Whether the time of the next try has come, whatever the clocks say.
    pub is_due: bool,
}

/// What came of wanting to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchClaimed {
    /// It may begin; so many tries in a row have failed before it.
    Begun {
        /// Failures in a row.
        failures: u32,
    },
    /// Another one is under way.
    Held {
        /// Its id.
        holder: Uuid,
    },
    /// The service is to be left alone.
    Paused(FailedFetch),
    /// The credential is gone or has another version.
    Gone,
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedFetch {
    /// How.
    pub class: FailureClass,
    /// How many have failed in a row, with this one.
    pub failures: u32,
    /// When the next one may be.
    pub retry_at: Timestamp,
    /// Why, sealed for `Place::token_fetch(credential, version)`.
    pub sealed: Vec<u8>,
}

impl Store {
    /// Begins a fetch, if no other is under way and its time has come.
    pub async fn begin_fetch(&self, claim: &FetchClaim) -> Result<FetchClaimed, StoreError> {
        const CLAIM: &str = "INSERT INTO token_fetches (credential, version, holder, lease_until, failures, retry_at)
            SELECT c.id, c.version, $3, $4, 0, 0 FROM credentials c WHERE c.id = $1 AND c.version = $2
            ON CONFLICT (credential) DO UPDATE SET
                failures = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.failures ELSE 0 END,
                class = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.class END,
                sealed = CASE WHEN token_fetches.version = excluded.version THEN token_fetches.sealed END,
                retry_at = 0, version = excluded.version, holder = excluded.holder, lease_until = excluded.lease_until
            WHERE token_fetches.version < excluded.version
                OR ((token_fetches.lease_until <= $5 OR token_fetches.holder = $6)
                    AND (token_fetches.retry_at <= $5 OR $7 = 1))";
        // A row that is free at the second look was let go of in between.
        loop {
            let begun = writing!(self, pool => {
                let begin = sqlx::query(CLAIM).bind(claim.credential).bind(claim.version).bind(claim.holder);
                let begin = begin.bind(claim.lease_until.as_millis()).bind(claim.now.as_millis());
                let begin = begin.bind(claim.instead_of.unwrap_or(Uuid::nil())).bind(i64::from(claim.is_due));
                begin.execute(pool).await?.rows_affected()
            });
            // Asked where it was written, which has seen it.
            let row: Option<Row> = writing!(self, pool => {
                sqlx::query_as(lookups::TOKEN_FETCH).bind(claim.credential).fetch_optional(pool).await?
            });
            let Some(row) = row.filter(|row| row.current == claim.version) else { return Ok(FetchClaimed::Gone) };
            let failures = row.failures.and_then(|failures| u32::try_from(failures).ok()).unwrap_or(0);
            if begun == 1 {
                return Ok(FetchClaimed::Begun { failures });
            }
            if let Some(failed) = row.failed(failures)?
                && failed.retry_at > claim.now
            {
                return Ok(FetchClaimed::Paused(failed));
            }
            match row.holder {
                Some(holder) if row.lease_until.unwrap_or(0) > claim.now.as_millis() => return Ok(FetchClaimed::Held { holder }),
                _ if row.version.is_some_and(|version| version > claim.version) => return Ok(FetchClaimed::Gone),
                _ => {}
            }
        }
    }

    /// Stores the token that a fetch has brought, or that came in another way where there is no holder, and forgets the
    /// failures before it. False, with nothing stored, if the credential is gone or has another version by now.
    pub async fn put_access_token(
        &self,
        credential: CredentialId,
        version: i64,
        sealed: &[u8],
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        const UPSERT: &str = "INSERT INTO access_tokens (credential, version, sealed, expires_at)
            SELECT c.id, c.version, $3, $4 FROM credentials c WHERE c.id = $1 AND c.version = $2
            ON CONFLICT (credential) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, expires_at = excluded.expires_at
            WHERE access_tokens.version <= excluded.version";
        const FORGET: &str = "DELETE FROM token_fetches WHERE credential = $1 AND version <= $2";
        transaction!(self, transaction => {
            let upsert = sqlx::query(UPSERT).bind(credential).bind(version).bind(sealed).bind(expires_at.as_millis());
            if upsert.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(FORGET).bind(credential).bind(version).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Keeps how a fetch has failed, if it still is the one under way. False otherwise.
    pub async fn fail_fetch(
        &self,
        credential: CredentialId,
        version: i64,
        holder: Uuid,
        failed: &FailedFetch,
    ) -> Result<bool, StoreError> {
        const FAIL: &str = "UPDATE token_fetches SET holder = NULL, lease_until = 0, class = $4, failures = $5, retry_at = $6,
            sealed = $7 WHERE credential = $1 AND version = $2 AND holder = $3";
        let changed = writing!(self, pool => {
            let fail = sqlx::query(FAIL).bind(credential).bind(version).bind(holder).bind(failed.class.as_str());
            let fail = fail.bind(i64::from(failed.failures)).bind(failed.retry_at.as_millis()).bind(&failed.sealed[..]);
            fail.execute(pool).await?.rows_affected()
        });
        Ok(changed == 1)
    }

    /// What is known of fetching for a credential, for who only looks; `None` where no try has failed.
    pub async fn failed_fetch(&self, credential: CredentialId, version: i64) -> Result<Option<FailedFetch>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(lookups::TOKEN_FETCH).bind(credential).fetch_optional(pool).await?);
        let Some(row) = row.filter(|row| row.version == Some(version)) else { return Ok(None) };
        let failures = row.failures.and_then(|failures| u32::try_from(failures).ok()).unwrap_or(0);
        row.failed(failures)
    }
}

#[derive(FromRow)]
struct Row {
    current: i64,
    version: Option<i64>,
    holder: Option<Uuid>,
    lease_until: Option<i64>,
    class: Option<String>,
    failures: Option<i64>,
    retry_at: Option<i64>,
    sealed: Option<Vec<u8>>,
}

impl Row {
    fn failed(&self, failures: u32) -> Result<Option<FailedFetch>, StoreError> {
        let (Some(class), Some(sealed)) = (&self.class, &self.sealed) else { return Ok(None) };
        let class = FailureClass::parse(class).ok_or(StoreError::Row { table: "token_fetches", column: "class" })?;
        let retry_at = Timestamp::from_millis(self.retry_at.unwrap_or(0));
        Ok(Some(FailedFetch { class, failures, retry_at, sealed: sealed.clone() }))
    }
}
