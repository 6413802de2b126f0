//! Opens a database: reads its URL, connects with the right settings, and runs the migrations.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    Connection, PgConnection, SqlitePool,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use url::Url;

use super::{Store, StoreError, database::Db, migrations, sqlite_readers::Readers};

/// How long SQLite waits for another process that holds its lock.
const BUSY: Duration = Duration::from_secs(5);
/// How long opening waits for another program that opens or migrates the same database.
const OPENING: Duration = Duration::from_secs(10);
/// How often it tries to get the folder's lock.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// The same limit for PostgreSQL, which would wait forever. Keeps a limit that is set in the URL.
const LIMIT_LOCKS: &str = "SELECT set_config('lock_timeout', $1, false) WHERE current_setting('lock_timeout') = '0'";
/// How long a request waits for a free connection before it fails.
const ACQUIRE: Duration = Duration::from_secs(10);
/// SQLite connections that read. Each is a thread, and reading a page takes less than a millisecond.
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 10;

/// The accepted parameters of a PostgreSQL URL. Others are rejected here, because sqlx only logs them,
/// including a misspelt `password`.
const POSTGRES_PARAMETERS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "passfile",
];

impl Store {
    /// Opens the database at `url`, `sqlite:PATH` or `postgres://…`, and runs the migrations. Creates a
    /// missing SQLite file with mode 0600; never creates a PostgreSQL database.
    ///
    /// # Errors
    ///
    /// The message names the setting and never contains the password of the URL.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let database = if let Some(path) = url.strip_prefix("sqlite:") {
            open_sqlite(&sqlite_path(path)?).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url).await?
        } else {
            return Err(StoreError::Setting("use sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE".into()));
        };
        Ok(Self { database })
    }

    /// Whether [`Self::open`] would open an existing database rather than create one. Always true for
    /// PostgreSQL, where it never creates one.
    pub fn exists(url: &str) -> Result<bool, StoreError> {
        match url.strip_prefix("sqlite:") {
            Some(path) => Ok(sqlite_path(path)?.exists()),
            None => Ok(true),
        }
    }

    /// Waits for running statements and closes every connection. Later statements fail.
    pub async fn close(&self) {
        match &self.database {
            Db::Sqlite { read, write } => {
                // Close the writer last: the last connection moves the WAL into the file, which a reader
                // can't do.
                read.close().await;
                write.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

/// The path after `sqlite:`. Accepts a leading `//`, which other programs write.
fn sqlite_path(text: &str) -> Result<PathBuf, StoreError> {
    let path = text.strip_prefix("//").unwrap_or(text);
    if path.is_empty() {
        return Err(StoreError::Setting("name a file after sqlite:, for example sqlite:keytile-data/keytile.db".into()));
    }
    if path == ":memory:" {
        return Err(StoreError::Setting("sqlite::memory: would lose all data; name a file".into()));
    }
    if path.starts_with("file:") || path.contains('?') {
        return Err(StoreError::Setting("use a plain path after sqlite:, without `file:` and parameters".into()));
    }
    Ok(PathBuf::from(path))
}

async fn open_sqlite(path: &Path) -> Result<Db, StoreError> {
    let unavailable = |source| StoreError::Unavailable { name: path.display().to_string(), source };
    create_private(path).map_err(|error| unavailable(sqlx::Error::Io(error)))?;
    let _alone = lock_folder(path, OPENING).await?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        // More rows than a page of tiles has, so the reading thread doesn't wait for the thread that takes
        // them.
        .row_buffer_size(128)
        // Deleted content is overwritten with zeros and doesn't stay in free pages of the file.
        .pragma("secure_delete", "ON");
    // Connections to a file don't get lost, so they need no test before each use.
    let pool = SqlitePoolOptions::new().test_before_acquire(false).acquire_timeout(ACQUIRE).idle_timeout(None).max_lifetime(None);
    // SQLite ends a transaction by itself when the disk is full. sqlx doesn't notice and thinks that the
    // connection is still in the transaction. Such a connection is replaced.
    let one_writer = pool
        .clone()
        .max_connections(1)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }));
    let opened = one_writer.connect_with(options.clone()).await;
    let write: SqlitePool = opened.map_err(|error| match StoreError::from(error) {
        StoreError::Failed(source) => unavailable(source),
        other => other,
    })?;
    if let Err(error) = prepare_sqlite(&write).await {
        write.close().await;
        return Err(error);
    }
    let read = pool.max_connections(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Db::Sqlite { read: Readers::new(read), write })
}

/// Runs the migrations in one transaction. sqlx takes no lock on SQLite, so two programs that find an empty
/// file would both create the tables.
async fn prepare_sqlite(write: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
    migrations::sqlite().run(&mut *transaction).await.map_err(table_error)?;
    transaction.commit().await?;
    Ok(())
}

/// Waits until no other program is opening a database in this folder, and makes others wait until the
/// returned file is dropped. Needed because SQLite doesn't wait for its lock when it switches a new file to
/// WAL. If the folder can't be locked, two first starts at the same moment can fail; nothing else can.
///
/// # Errors
///
/// [`StoreError::Opening`] if another program still has the lock after `patience`.
pub(super) async fn lock_folder(path: &Path, patience: Duration) -> Result<Option<File>, StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(file) = File::open(folder) else { return Ok(None) };
    // Polls, because a thread that waits for the lock can't be cancelled.
    let locked = async {
        loop {
            match file.try_lock() {
                Ok(()) => return true,
                Err(TryLockError::WouldBlock) => tokio::time::sleep(ASK_AGAIN).await,
                Err(TryLockError::Error(_)) => return false,
            }
        }
    };
    match tokio::time::timeout(patience, locked).await {
        Ok(locked) => Ok(locked.then_some(file)),
        Err(_) => Err(StoreError::Opening { folder: folder.to_owned() }),
    }
}

/// Creates an empty file of mode 0600. SQLite treats it as an empty database, and gives the files beside it
/// (`-wal`, `-shm`) the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn open_postgres(url: &str) -> Result<Db, StoreError> {
    // The messages of these errors are fixed; they don't repeat the URL.
    let parsed = Url::parse(url).map_err(|error| StoreError::Setting(format!("this is not a URL: {error}")))?;
    for (parameter, _) in parsed.query_pairs() {
        if !POSTGRES_PARAMETERS.contains(&&*parameter) && !parameter.starts_with("options[") {
            return Err(StoreError::Setting(format!("unknown parameter `{parameter}`")));
        }
    }
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Setting("part of the postgres:// URL is not valid".into()))?
        .application_name("keytile");
    let name = format!("the database `{}` at {}", options.get_database().unwrap_or(options.get_username()), place_of(&options));
    let unavailable = |source| StoreError::Unavailable { name: name.clone(), source };
    // A single connection first: a pool would retry an unreachable server for ten seconds.
    let connected = tokio::time::timeout(ACQUIRE, PgConnection::connect_with(&options)).await;
    let mut connection = connected.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))).map_err(unavailable)?;
    let limit = OPENING.as_millis().to_string();
    let limited = sqlx::query(LIMIT_LOCKS).bind(limit).execute(&mut connection).await.map_err(StoreError::from);
    let prepared = match limited {
        Ok(_) => migrations::postgres().run(&mut connection).await.map_err(table_error),
        Err(error) => Err(error),
    };
    // Ends the session, and with it the lock under which the migrations run.
    connection.close().await?;
    prepared?;
    let pool = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(ACQUIRE).connect_lazy_with(options);
    Ok(Db::Postgres(pool))
}

fn place_of(options: &PgConnectOptions) -> String {
    options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| format!("{} (port {})", socket.display(), options.get_port()),
    )
}

fn table_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => StoreError::Newer { found, known: migrations::newest() },
        MigrateError::Execute(source) => classify(source, MigrateError::Execute),
        MigrateError::ExecuteMigration(source, version) => {
            classify(source, |source| MigrateError::ExecuteMigration(source, version))
        }
        other => StoreError::Tables(other),
    }
}

/// Keeps a failure that has its own variant; anything else is a failed migration.
fn classify(source: sqlx::Error, tables: impl FnOnce(sqlx::Error) -> MigrateError) -> StoreError {
    match StoreError::from(source) {
        StoreError::Failed(source) => StoreError::Tables(tables(source)),
        named => named,
    }
}
