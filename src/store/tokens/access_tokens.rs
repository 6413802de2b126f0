//! Sealed access tokens, shared by all instances and kept across restarts. Also reads the state of the next
//! fetch (see `token_fetches`).

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{
        credentials::{CredentialId, CredentialStatus},
        time::Timestamp,
        tokens::failure::FailureClass,
    },
    store::{
        Store, StoreError,
        database::{reading, transaction},
        queries,
    },
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccessToken {
    /// Sealed for `Place::access_token(credential, version)`.
    pub sealed: Vec<u8>,
    /// When the service issued it.
    pub fetched_at: Timestamp,
    /// From here on it's refreshed.
    pub refresh_at: Timestamp,
    /// The expiry, as the service stated it.
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// The credential version that it's sealed for.
    pub version: i64,
    /// Sealed for `Place::access_token(credential, version)`.
    pub sealed: Vec<u8>,
    /// When the service issued it.
    pub fetched_at: Timestamp,
    /// From here on it's refreshed.
    pub refresh_at: Timestamp,
    /// The expiry, as the service stated it.
    pub expires_at: Timestamp,
}

/// A stored failure to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFailure {
    pub class: FailureClass,
    /// Failures in a row.
    pub failures: u32,
    /// The end of the pause, by the clock of the instance that asked the service.
    pub retry_at: Timestamp,
    /// The length of the pause in milliseconds. A clock that differs can't make it longer.
    pub pause: i64,
    /// The diagnosis, sealed for `Place::token_failure(credential, version)`.
    pub sealed: Vec<u8>,
}

/// Everything that is known about the token of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The current version of the credential.
    pub version: i64,
    /// The result of the credential's last verification.
    pub status: CredentialStatus,
    /// The stored token. May be of an older version.
    pub token: Option<AccessTokenRow>,
    /// The fetch that holds the lease for the current version, or did when it died.
    pub holder: Option<Uuid>,
    /// The last failure of the current version; `None` if a token was stored since.
    pub failure: Option<TokenFailure>,
}

/// Stores a token in a transaction, unless the credential is gone or has another version. Returns the number
/// of changed rows.
macro_rules! put_token {
    ($transaction:expr, $credential:expr, $version:expr, $token:expr) => {{
        const UPSERT: &str = "INSERT INTO access_tokens (credential, version, sealed, fetched_at, refresh_at, expires_at)
            SELECT id, version, $3, $4, $5, $6 FROM credentials WHERE id = $1 AND version = $2
            ON CONFLICT (credential) DO UPDATE SET version = excluded.version, sealed = excluded.sealed,
                fetched_at = excluded.fetched_at, refresh_at = excluded.refresh_at, expires_at = excluded.expires_at
            WHERE access_tokens.version <= excluded.version";
        let token: &$crate::store::NewAccessToken = $token;
        let upsert = sqlx::query(UPSERT)
            .bind($credential)
            .bind($version)
            .bind(&token.sealed[..])
            .bind(token.fetched_at.as_millis())
            .bind(token.refresh_at.as_millis())
            .bind(token.expires_at.as_millis());
        upsert.execute(&mut *$transaction).await.map(|done| done.rows_affected())
    }};
}
pub(in crate::store) use put_token;

impl Store {
    /// Replaces the access token of a credential and clears its last failure. False, with nothing changed, if
    /// the credential is gone or has another version.
    pub async fn put_access_token(
        &self,
        credential: CredentialId,
        version: i64,
        token: &NewAccessToken,
    ) -> Result<bool, StoreError> {
        const CLEAR: &str = "UPDATE token_fetches SET class = NULL, failures = 0, retry_at = 0, pause = 0, sealed = NULL
            WHERE credential = $1 AND version = $2";
        let result = transaction!(self, transaction => {
            let put = put_token!(transaction, credential, version, token);
            if matches!(put, Ok(1)) {
                sqlx::query(CLEAR).bind(credential).bind(version).execute(&mut *transaction).await?;
                transaction.commit().await?;
            }
            put
        });
        match result {
            Ok(changed) => Ok(changed == 1),
            // The credential was deleted at this moment.
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the token even if it has expired.
    pub async fn access_token(&self, credential: CredentialId) -> Result<Option<AccessTokenRow>, StoreError> {
        Ok(self.token_of(credential).await?.and_then(|row| row.token))
    }

    /// `None` if there is no such credential.
    pub async fn token_of(&self, credential: CredentialId) -> Result<Option<TokenRow>, StoreError> {
        // A read connection is enough: a decision based on this is checked again when writing.
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(queries::TOKEN).bind(credential).fetch_optional(pool).await?);
        row.map(TokenRow::try_from).transpose()
    }
}

#[derive(FromRow)]
struct Row {
    version: i64,
    status: String,
    token_version: Option<i64>,
    token: Option<Vec<u8>>,
    fetched_at: Option<i64>,
    refresh_at: Option<i64>,
    expires_at: Option<i64>,
    fetch_version: Option<i64>,
    holder: Option<Uuid>,
    class: Option<String>,
    failures: Option<i64>,
    retry_at: Option<i64>,
    pause: Option<i64>,
    failure: Option<Vec<u8>>,
}

impl TryFrom<Row> for TokenRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let time = |millis: Option<i64>| Timestamp::from_millis(millis.unwrap_or_default());
        let of_version = row.fetch_version == Some(row.version);
        let wrong = StoreError::Row { table: "token_fetches", column: "class" };
        let token = row.token_version.zip(row.token).map(|(version, sealed)| AccessTokenRow {
            version,
            sealed,
            fetched_at: time(row.fetched_at),
            refresh_at: time(row.refresh_at),
            expires_at: time(row.expires_at),
        });
        let failure = match row.class.zip(row.failure).filter(|_| of_version) {
            None => None,
            Some((class, sealed)) => Some(TokenFailure {
                class: FailureClass::parse(&class).ok_or(wrong)?,
                failures: u32::try_from(row.failures.unwrap_or_default()).unwrap_or_default(),
                retry_at: time(row.retry_at),
                pause: row.pause.unwrap_or_default(),
                sealed,
            }),
        };
        Ok(Self {
            version: row.version,
            status: CredentialStatus::parse(&row.status).ok_or(StoreError::Row { table: "credentials", column: "status" })?,
            token,
            holder: row.holder.filter(|_| of_version),
            failure,
        })
    }
}
