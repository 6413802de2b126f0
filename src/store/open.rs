//! Opening a database: reading its URL, connecting with the right settings, and bringing its tables
//! up to date.

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
/// How long an opening waits for another program that opens or changes the same database.
const OPENING: Duration = Duration::from_secs(10);
/// How often it asks whether that program is done.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// The same for PostgreSQL, which would wait for ever. A limit that the URL sets is kept.
const LIMIT_LOCKS: &str = "SELECT set_config('lock_timeout', $1, false) WHERE current_setting('lock_timeout') = '0'";
/// How long a request waits for a free connection before it fails.
const ACQUIRE: Duration = Duration::from_secs(10);
/// Readers of SQLite beside the writer; each is a thread, and a page is read in less than a millisecond.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 10;

/// The parameters of a PostgreSQL URL. Others are refused here, because sqlx would only log them, and a
/// misspelt `password` with it.
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
    /// Opens the database at `url`, `sqlite:PATH` or `postgres://…`, and brings its tables up to date.
    /// A SQLite file that does not exist is made, with mode 0600; a PostgreSQL database is not.
    ///
    /// # Errors
    /// A sentence that names the setting and never holds the password of the URL.
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

    /// Whether [`Self::open`] would find a database at `url`, rather than make one. A PostgreSQL database is never made.
    pub fn exists(url: &str) -> Result<bool, StoreError> {
        match url.strip_prefix("sqlite:") {
            Some(path) => Ok(sqlite_path(path)?.exists()),
            None => Ok(true),
        }
    }

    /// Waits for the statements under way and closes every connection. Statements after it fail.
    pub async fn close(&self) {
        match &self.database {
            Db::Sqlite { read, write } => {
                // The writer last: the last connection moves what is in the WAL into the file, which
                // a reader may not do.
                read.close().await;
                write.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

/// The path in what follows `sqlite:`; a leading `//` is accepted as other programs write it.
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
        // A page of tiles and one more fit: the thread that reads does not stop to wait for the one that takes.
        .row_buffer_size(128)
        // What is deleted is overwritten with zeros, so that it does not stay in free pages of the file.
        .pragma("secure_delete", "ON");
    // A connection to a file does not get lost, so it need not be asked before each use.
    let pool = SqlitePoolOptions::new().test_before_acquire(false).acquire_timeout(ACQUIRE).idle_timeout(None).max_lifetime(None);
    // SQLite ends a transaction by itself when the disk is full; sqlx does not notice, and takes the
    // connection to be in that transaction ever after. Such a connection is replaced.
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

/// Brings the tables up to date in one transaction: sqlx takes no lock of its own on SQLite, and two
/// programs that find an empty file would both make the tables.
async fn prepare_sqlite(write: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
    migrations::sqlite().run(&mut *transaction).await.map_err(table_error)?;
    transaction.commit().await?;
    Ok(())
}

/// Waits until no other program is opening a database in this folder, and keeps others waiting as long
/// as the answer lives: SQLite does not wait its turn when it switches a new file to WAL. Where a
/// folder cannot be locked, two first starts at one moment can fail, and nothing else.
///
/// # Errors
/// [`StoreError::Opening`] if another program still has the lock after this time.
pub(super) async fn lock_folder(path: &Path, patience: Duration) -> Result<Option<File>, StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(file) = File::open(folder) else { return Ok(None) };
    // Asked again and again, because a thread that waits for the lock could not be called back.
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

/// Makes an empty file that only its owner may read. SQLite takes it for an empty database, and gives
/// the files beside it (`-wal`, `-shm`) the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn open_postgres(url: &str) -> Result<Db, StoreError> {
    // The words of these errors are fixed, they do not repeat the URL.
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
    // A connection by itself first: a pool would try for ten seconds to reach what is not there.
    let connected = tokio::time::timeout(ACQUIRE, PgConnection::connect_with(&options)).await;
    let mut connection = connected.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))).map_err(unavailable)?;
    let limit = OPENING.as_millis().to_string();
    let limited = sqlx::query(LIMIT_LOCKS).bind(limit).execute(&mut connection).await.map_err(StoreError::from);
    let prepared = match limited {
        Ok(_) => migrations::postgres().run(&mut connection).await.map_err(table_error),
        Err(error) => Err(error),
    };
    // Ends the session, and with it the lock under which tables are changed.
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

/// A failure that has a name of its own, or one of the tables.
fn classify(source: sqlx::Error, tables: impl FnOnce(sqlx::Error) -> MigrateError) -> StoreError {
    match StoreError::from(source) {
        StoreError::Failed(source) => StoreError::Tables(tables(source)),
        named => named,
    }
}
