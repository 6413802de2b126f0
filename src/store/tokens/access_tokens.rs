//! Access tokens, sealed: shared by every instance and kept over a restart. With them what is known of the fetch of
//! the next one (see `token_fetches`).

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

/// An access token to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccessToken {
    /// The token, sealed for `Place::access_token(credential, version)`.
    pub sealed: Vec<u8>,
    /// When the service issued it.
    pub fetched_at: Timestamp,
    /// From when on it is to be replaced.
    pub refresh_at: Timestamp,
    /// Its end, as the service named it.
    pub expires_at: Timestamp,
}

/// A stored access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// The version that it is sealed for.
    pub version: i64,
    /// The token, sealed for `Place::access_token(credential, version)`.
    pub sealed: Vec<u8>,
    /// When the service issued it.
    pub fetched_at: Timestamp,
    /// From when on it is to be replaced.
    pub refresh_at: Timestamp,
    /// Its end, as the service named it.
    pub expires_at: Timestamp,
}

/// A failure to get a token, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFailure {
    /// What kind.
    pub class: FailureClass,
    /// How many there were in a row.
    pub failures: u32,
    /// Until when the service is left alone, by the clock of whoever asked it.
    pub retry_at: Timestamp,
    /// For how many milliseconds it is left alone; no clock makes that longer.
    pub pause: i64,
    /// The diagnosis, sealed for `Place::token_failure(credential, version)`.
    pub sealed: Vec<u8>,
}

/// Everything that is known of the token of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The present version of the credential.
    pub version: i64,
    /// Whether the credential worked when it was last tried.
    pub status: CredentialStatus,
    /// The stored token, of whatever version.
    pub token: Option<AccessTokenRow>,
    /// Who fetches one for the present version, or did not come to its end.
    pub holder: Option<Uuid>,
    /// The last failure of the present version, if it is the last thing that happened.
    pub failure: Option<TokenFailure>,
}

/// Stores a token within a transaction, unless the credential is gone or has another version by now. Answers how many
/// rows were changed.
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
    /// Stores the access token of a credential in place of the one before, and forgets that fetching one failed. False,
    /// with nothing changed, if the credential is gone or has another version.
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
            // It was deleted in this moment.
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The access token of a credential, whether or not it may still be used.
    pub async fn access_token(&self, credential: CredentialId) -> Result<Option<AccessTokenRow>, StoreError> {
        Ok(self.token_of(credential).await?.and_then(|row| row.token))
    }

    /// What is known of the token of a credential; `None` when there is no such credential.
    pub async fn token_of(&self, credential: CredentialId) -> Result<Option<TokenRow>, StoreError> {
        // Asked of a connection that reads: what is decided by it is decided again by whoever writes.
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
