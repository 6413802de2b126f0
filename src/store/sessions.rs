//! Sessions, and clearing away what has expired.

use super::{
    Store, StoreError,
    database::{reading, transaction, writing},
    lookups,
};
use crate::domain::time::Timestamp;

impl Store {
    /// Stores a session under the hash of its token.
    pub async fn insert_session(&self, hash: &[u8; 32], created_at: Timestamp, expires_at: Timestamp) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO sessions (hash, created_at, expires_at) VALUES ($1, $2, $3)";
        writing!(self, pool => {
            let insert = sqlx::query(INSERT).bind(&hash[..]).bind(created_at.as_millis()).bind(expires_at.as_millis());
            insert.execute(pool).await?;
        });
        Ok(())
    }

    /// True if there is a session of this hash that has not expired.
    pub async fn session_is_live(&self, hash: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
        let found: i64 = reading!(self, pool => {
            sqlx::query_scalar(lookups::SESSION).bind(&hash[..]).bind(now.as_millis()).fetch_one(pool).await?
        });
        Ok(found > 0)
    }

    /// Deletes the sessions (with their drafts), drafts and access tokens that have expired. Answers
    /// how many of these there were.
    pub async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        const DRAFTS: &str = "DELETE FROM drafts WHERE expires_at <= $1";
        const SESSIONS: &str = "DELETE FROM sessions WHERE expires_at <= $1";
        const ACCESS_TOKENS: &str = "DELETE FROM access_tokens WHERE expires_at <= $1";
        transaction!(self, transaction => {
            let mut deleted = 0;
            for statement in [DRAFTS, SESSIONS, ACCESS_TOKENS] {
                deleted += sqlx::query(statement).bind(now.as_millis()).execute(&mut *transaction).await?.rows_affected();
            }
            transaction.commit().await?;
            Ok(deleted)
        })
    }
}
