//! The two databases, and the macros that run one body on whichever there is.
//!
//! The statements are the same for both: native types, `$1` placeholders, and no function that only
//! one of them has. A body is compiled once for each.

use sqlx::{PgPool, SqlitePool};

use super::sqlite_readers::Readers;

/// The connections to a database.
#[derive(Clone)]
pub(super) enum Db {
    /// One connection writes, so that Keytile's own writers wait in line instead of failing with
    /// `SQLITE_BUSY`; the others read beside it (WAL).
    Sqlite {
        /// Connections that cannot write.
        read: Readers,
        /// The one connection that can.
        write: SqlitePool,
    },
    /// Any connection reads and writes.
    Postgres(PgPool),
}

/// Evaluates an expression with something to read from, which it uses for one statement.
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

/// Evaluates an expression with a pool for one statement that writes.
macro_rules! writing {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.database {
            $crate::store::database::Db::Sqlite { write: $pool, .. } => $body,
            $crate::store::database::Db::Postgres($pool) => $body,
        }
    };
}

/// Evaluates an expression with a transaction that may write. The body commits; where it returns
/// without, the transaction is rolled back.
///
/// SQLite takes the write lock at once (`BEGIN IMMEDIATE`): a transaction that read first and wants
/// to write later could not wait for another process, it would fail.
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
