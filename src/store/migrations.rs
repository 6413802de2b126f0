//! The changes of the tables, in order, embedded in the program.
//!
//! Each is a file of the same name for both databases. A file that has been released is never changed:
//! the database keeps its checksum, and a program with another one does not start.

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// One change, in the words of either database.
#[derive(Debug, Clone, Copy)]
pub struct MigrationFile {
    /// Its place in the order; the number that its name begins with.
    pub version: i64,
    /// The name of its file, without `.sql`.
    pub name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration_file {
    ($version:literal, $name:literal) => {
        MigrationFile {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// Every change. A test compares the list with the folders.
pub const MIGRATIONS: &[MigrationFile] = &[
    migration_file!(1, "0001_credentials_and_resources"),
    migration_file!(2, "0002_accounts"),
    migration_file!(3, "0003_broker"),
    migration_file!(4, "0004_history"),
];

/// The newest version that this program knows.
pub(super) fn newest() -> i64 {
    MIGRATIONS.iter().map(|file| file.version).max().unwrap_or(0)
}

/// The changes for SQLite.
pub(super) fn sqlite() -> Migrator {
    migrator(|file| file.sqlite)
}

/// The changes for PostgreSQL.
pub(super) fn postgres() -> Migrator {
    migrator(|file| file.postgres)
}

fn migrator(text: impl Fn(&MigrationFile) -> &'static str) -> Migrator {
    let migration = |file: &MigrationFile| {
        Migration::new(file.version, file.name.into(), MigrationType::Simple, text(file).into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}
