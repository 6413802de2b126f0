//! Access tokens, sealed: shared by every instance and kept over a restart.

use sqlx::FromRow;

use super::{
    Store, StoreError,
    database::{reading, writing},
    lookups,
};
use crate::domain::{credential::CredentialId, time::Timestamp};

/// A stored access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// The version that it is sealed for.
    pub version: i64,
    /// The token, sealed for `Place::access_token(credential, version)`.
    pub sealed: Vec<u8>,
    /// Until when it is used: somewhat before the service stops accepting it.
    pub expires_at: Timestamp,
}

impl Store {
    /// Stores the access token of a credential in place of the one before. False, with nothing
    /// changed, if one of a later version is stored or the credential is gone.
    pub async fn put_access_token(
        &self,
        credential: CredentialId,
        version: i64,
        sealed: &[u8],
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        const UPSERT: &str = "INSERT INTO access_tokens (credential, version, sealed, expires_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (credential) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, expires_at = excluded.expires_at
            WHERE access_tokens.version <= excluded.version";
        let result = writing!(self, pool => {
            let upsert = sqlx::query(UPSERT).bind(credential).bind(version).bind(sealed).bind(expires_at.as_millis());
            upsert.execute(pool).await.map(|done| done.rows_affected())
        });
        match result {
            Ok(changed) => Ok(changed == 1),
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The access token of a credential, whether or not it may still be used.
    pub async fn access_token(&self, credential: CredentialId) -> Result<Option<AccessTokenRow>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(lookups::ACCESS_TOKEN).bind(credential).fetch_optional(pool).await?);
        Ok(row.map(|row| AccessTokenRow {
            version: row.version,
            sealed: row.sealed,
            expires_at: Timestamp::from_millis(row.expires_at),
        }))
    }

    /// Deletes the access token of a credential. True if there was one.
    pub async fn delete_access_token(&self, credential: CredentialId) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM access_tokens WHERE credential = $1";
        let deleted = writing!(self, pool => sqlx::query(DELETE).bind(credential).execute(pool).await?.rows_affected());
        Ok(deleted == 1)
    }
}

#[derive(FromRow)]
struct Row {
    version: i64,
    sealed: Vec<u8>,
    expires_at: i64,
}
