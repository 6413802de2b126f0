//! Database failures, as sentences for the person who runs Keytile. None contains the password of the
//! database URL or a value of a row.

use std::path::PathBuf;

use sqlx::{error::DatabaseError, migrate::MigrateError, sqlite::SqliteError};
use thiserror::Error;

/// A failure of the database. No part of the failed change is stored.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database URL can't be used.
    #[error("--database-url: {0}")]
    Setting(String),
    /// The database can't be opened or reached.
    #[error("--database-url: cannot open {name}: {source}")]
    Unavailable {
        /// The database, without its password.
        name: String,
        source: sqlx::Error,
    },
    /// The file isn't a SQLite database, or parts of it are damaged.
    #[error("--database-url: the database file is damaged or not a SQLite database; restore it from a backup ({0})")]
    Damaged(sqlx::Error),
    /// Another program has been opening a database in the same folder for longer than Keytile waits.
    #[error(
        "--database-url: another program has locked the folder {}, as Keytile does briefly while it opens a database; \
         wait for it to finish or stop it, then start again",
        folder.display()
    )]
    Opening { folder: PathBuf },
    /// A newer version of Keytile has changed the tables.
    #[error(
        "--database-url: the database was last used by a newer version of Keytile (its tables have version {found}, this version supports up to {known}); \
         start that version, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The first schema version in the database that this program doesn't know.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// A migration failed.
    #[error("--database-url: cannot create or update the database tables: {0}")]
    Tables(MigrateError),
    /// The disk is full.
    #[error("--database-url: no space left for the database ({0})")]
    Full(sqlx::Error),
    /// Another program kept the database locked for longer than Keytile waits.
    #[error("--database-url: another program has locked the database ({0})")]
    Locked(sqlx::Error),
    /// A row holds a value that Keytile never writes.
    #[error("--database-url: cannot read a row of the table {table}: its {column} has a value that Keytile never writes")]
    Row { table: &'static str, column: &'static str },
    /// Anything else.
    #[error("--database-url: the database failed: {0}")]
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().map(Kind::of) {
            Some(Kind::Damaged) => Self::Damaged(error),
            Some(Kind::Full) => Self::Full(error),
            Some(Kind::Locked) => Self::Locked(error),
            Some(Kind::Other) | None => Self::Failed(error),
        }
    }
}

/// The meaning of a database error code.
enum Kind {
    Damaged,
    Full,
    Locked,
    Other,
}

impl Kind {
    fn of(error: &(dyn DatabaseError + 'static)) -> Self {
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<SqliteError>().is_some() {
            // The low byte is the primary code (https://sqlite.org/rescode.html).
            return match code.parse::<u32>().map(|code| code & 0xFF) {
                Ok(11 | 26) => Self::Damaged,
                Ok(13) => Self::Full,
                Ok(5 | 6) => Self::Locked,
                _ => Self::Other,
            };
        }
        // PostgreSQL documentation, appendix A: data corrupted, index corrupted, disk full, lock not
        // available.
        match &*code {
            "XX001" | "XX002" => Self::Damaged,
            "53100" => Self::Full,
            "55P03" => Self::Locked,
            _ => Self::Other,
        }
    }
}
