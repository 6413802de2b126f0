//! Whether the database does its work: reads, and takes what is written.

use super::{Store, StoreError, database::transaction};
use crate::domain::time::Timestamp;

/// Stands in the table of sign-in limits for the moment of the trial. Buckets of people are hashes, which are longer.
const TRIAL: &[u8] = b"readiness";

impl Store {
    /// Writes a row and takes it away again, in one transaction that comes to the disk as any other does: a disk
    /// without space, a lock that nobody gives back and a server that only reads let everything be read and nothing be
    /// written.
    pub async fn try_writing(&self, now: Timestamp) -> Result<(), StoreError> {
        const WRITE: &str = "INSERT INTO sign_in_limits (bucket, failures, blocked_until, updated_at) VALUES ($1, 0, 0, $2)
            ON CONFLICT (bucket) DO NOTHING";
        const TAKE_AWAY: &str = "DELETE FROM sign_in_limits WHERE bucket = $1";
        transaction!(self, transaction => {
            sqlx::query(WRITE).bind(TRIAL).bind(now.as_millis()).execute(&mut *transaction).await?;
            sqlx::query(TAKE_AWAY).bind(TRIAL).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(())
        })
    }
}
