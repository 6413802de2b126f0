//! The migrations, in order, embedded in the program.
//!
//! Each is a file of the same name for both databases. Never change a file that has been released: the
//! database keeps its checksum, and a program whose file differs doesn't start.

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// One migration, for both databases.
#[derive(Debug, Clone, Copy)]
pub struct MigrationFile {
    /// Its position; the number at the beginning of its name.
    pub version: i64,
    /// The file name without `.sql`.
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

/// Every migration. A test compares the list with the folders.
pub const MIGRATIONS: &[MigrationFile] = &[
    migration_file!(1, "0001_credentials_and_resources"),
    migration_file!(2, "0002_accounts"),
    migration_file!(3, "0003_broker"),
    migration_file!(4, "0004_history"),
];

/// The newest schema version that this program knows.
pub(super) fn newest() -> i64 {
    MIGRATIONS.iter().map(|file| file.version).max().unwrap_or(0)
}

pub(super) fn sqlite() -> Migrator {
    migrator(|file| file.sqlite)
}

pub(super) fn postgres() -> Migrator {
    migrator(|file| file.postgres)
}

fn migrator(text: impl Fn(&MigrationFile) -> &'static str) -> Migrator {
    let migration = |file: &MigrationFile| {
        Migration::new(file.version, file.name.into(), MigrationType::Simple, text(file).into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}
