//! Why the database did not do its work, in sentences for whoever runs Keytile. None of them holds a
//! password of the database URL or a value of a row.

use std::path::PathBuf;

use sqlx::{error::DatabaseError, migrate::MigrateError, sqlite::SqliteError};
use thiserror::Error;

/// A failure of the database. Nothing of the change that failed is stored.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The URL of the database is not one that can be used.
    #[error("--database-url: {0}")]
    Setting(String),
    /// The database cannot be opened or reached.
    #[error("--database-url: cannot open {name}: {source}")]
    Unavailable {
        /// The database, without its password.
        name: String,
        /// What the database or the system says.
        source: sqlx::Error,
    },
    /// The file is no SQLite database, or parts of it are broken.
    #[error("--database-url: the database file is damaged or not a SQLite database; restore it from a backup ({0})")]
    Damaged(sqlx::Error),
    /// Another program has been opening a database in the same folder for longer than Keytile waits.
    #[error(
        "--database-url: another program has locked the folder {}, as Keytile does briefly while it opens a database; \
         wait for it to finish or stop it, then start again",
        folder.display()
    )]
    Opening {
        /// The folder.
        folder: PathBuf,
    },
    /// A newer Keytile has changed the tables.
    #[error(
        "--database-url: the database was last used by a newer version of Keytile (its tables have version {found}, this version supports up to {known}); \
         start that version, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The first version in the database that this program does not know.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The tables could not be made or changed.
    #[error("--database-url: cannot create or update the database tables: {0}")]
    Tables(MigrateError),
    /// There is no room left.
    #[error("--database-url: no space left for the database ({0})")]
    Full(sqlx::Error),
    /// Another program kept the database locked for longer than Keytile waits.
    #[error("--database-url: another program has locked the database ({0})")]
    Locked(sqlx::Error),
    /// A row holds what Keytile never writes.
    #[error("--database-url: cannot read a row of the table {table}: its {column} has a value that Keytile never writes")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
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

/// What the code of a database error means.
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
        // PostgreSQL, appendix A: data corrupted, index corrupted, disk full, lock not available.
        match &*code {
            "XX001" | "XX002" => Self::Damaged,
            "53100" => Self::Full,
            "55P03" => Self::Locked,
            _ => Self::Other,
        }
    }
}
