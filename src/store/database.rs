//! The two databases, and the macros that run one body on either of them.
//!
//! The statements are the same for both: native types, `$1` placeholders, and no function that only one of
//! them has. A body is compiled once for each database.

use sqlx::{PgPool, SqlitePool};

use super::sqlite_readers::Readers;

#[derive(Clone)]
pub(super) enum Db {
    /// One connection writes, so that Keytile's own writers queue instead of failing with `SQLITE_BUSY`. The
    /// others read at the same time (WAL).
    Sqlite {
        /// Connections that can't write.
        read: Readers,
        /// The only connection that can write.
        write: SqlitePool,
    },
    /// Every connection reads and writes.
    Postgres(PgPool),
}

/// Evaluates an expression that reads with one statement.
macro_rules! reading {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.database {
            $crate::store::database::Db::Sqlite { read, .. } => {
                let mut reader = read.take().await?;
                let $pool = &mut *reader;
                let found = $body;
                reader.keep();
                found
            }
            $crate::store::database::Db::Postgres($pool) => $body,
        }
    };
}

/// Evaluates an expression that writes with one statement, outside of a transaction.
macro_rules! writing {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.database {
            $crate::store::database::Db::Sqlite { write: $pool, .. } => $body,
            $crate::store::database::Db::Postgres($pool) => $body,
        }
    };
}

/// Evaluates an expression in a transaction that may write. The body commits; if it returns without, the
/// transaction is rolled back.
///
/// SQLite takes the write lock immediately (`BEGIN IMMEDIATE`): a transaction that reads first and writes
/// later can't wait for another process, and would fail.
macro_rules! transaction {
    ($store:expr, $transaction:ident => $body:expr) => {
        match &$store.database {
            $crate::store::database::Db::Sqlite { write, .. } => {
                let mut $transaction = write.begin_with("BEGIN IMMEDIATE").await?;
                $body
            }
            $crate::store::database::Db::Postgres(pool) => {
                let mut $transaction = pool.begin().await?;
                $body
            }
        }
    };
}

pub(super) use {reading, transaction, writing};
