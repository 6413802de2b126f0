//! Whether the database works, and how busy its connections are.

use sqlx::{Database, Pool};

use crate::{
    domain::{credentials::CredentialStatus, time::Timestamp},
    store::{
        Store, StoreError,
        database::{Db, reading, transaction},
        queries,
    },
};

/// The bucket of the test row in the table of sign-in limits. It can't collide: real buckets are hashes,
/// which are longer.
const TRIAL: &[u8] = b"readiness";

/// The connections of a database for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// `read`, `write`, or `all`.
    pub purpose: &'static str,
    pub in_use: u64,
    pub idle: u64,
    /// The maximum number of connections.
    pub most: u64,
}

impl Store {
    pub fn connections(&self) -> Vec<Connections> {
        match &self.database {
            Db::Sqlite { read, write } => {
                let [in_use, idle, most] = read.counts();
                vec![Connections { purpose: "read", in_use, idle, most }, connections("write", write)]
            }
            Db::Postgres(pool) => vec![connections("all", pool)],
        }
    }

    /// The number of credentials with this status. Must not be called with `verified`.
    pub async fn count_failing_credentials(&self, status: CredentialStatus) -> Result<u64, StoreError> {
        let count: i64 = reading!(self, pool => {
            sqlx::query_scalar(queries::FAILING_CREDENTIALS).bind(status.as_str()).fetch_one(pool).await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Inserts a row and deletes it again, in one transaction that is committed to disk like any other. Reads
    /// alone don't reveal a full disk, a lock that is never released or a read-only server.
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

fn connections<D: Database>(purpose: &'static str, pool: &Pool<D>) -> Connections {
    let idle = pool.num_idle() as u64;
    let in_use = u64::from(pool.size()).saturating_sub(idle);
    Connections { purpose, in_use, idle, most: u64::from(pool.options().get_max_connections()) }
}
