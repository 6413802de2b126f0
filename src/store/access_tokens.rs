//! Access tokens, sealed: shared by every instance and kept over a restart.

use sqlx::FromRow;

use super::{Store, StoreError, database::reading, lookups};
use crate::domain::{credential::CredentialId, time::Timestamp};

/// A stored access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// The version that it is sealed for.
    pub version: i64,
    /// The token, sealed for `Place::access_token(credential, version)`.
    pub sealed: Vec<u8>,
    /// Until when it is used at the longest: a little before the service stops accepting it.
    pub expires_at: Timestamp,
}

impl Store {
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
}

#[derive(FromRow)]
struct Row {
    version: i64,
    sealed: Vec<u8>,
    expires_at: i64,
}
