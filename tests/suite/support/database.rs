//! A fresh database for a test, gone when it is dropped: a SQLite file in a folder of its own, or a
//! PostgreSQL database of its own on the server that `KEYTILE_TEST_POSTGRES` names.

use std::{path::PathBuf, str::FromStr};

use keytile::{crypto::random, store::Store};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;

/// The variable that names the PostgreSQL server of the tests, as a `postgres://` URL.
const SERVER: &str = "KEYTILE_TEST_POSTGRES";

/// A database that no other test uses.
pub(crate) struct TestDatabase {
    url: String,
    kind: Kind,
}

enum Kind {
    Sqlite { folder: TempDir },
    Postgres { server: String, name: String },
}

impl TestDatabase {
    /// A SQLite file that does not exist yet.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keytile.db").display());
        Self { url, kind: Kind::Sqlite { folder } }
    }

    /// An empty PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        let server = std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} is not set; run scripts/test, which starts one"));
        let name = format!("keytile_test_{}", random::bytes::<8>().map(|byte| format!("{byte:02x}")).concat());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        connection.close().await.unwrap();
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        Self { url: url.into(), kind: Kind::Postgres { server, name } }
    }

    /// The URL that Keytile opens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Opens the database as Keytile does.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// True for PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.kind, Kind::Postgres { .. })
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> PathBuf {
        match &self.kind {
            Kind::Sqlite { folder } => folder.path().join("keytile.db"),
            Kind::Postgres { .. } => panic!("PostgreSQL has no file"),
        }
    }

    /// Runs statements behind Keytile's back, on a connection of their own.
    pub(crate) async fn execute(&self, statements: &str) -> Result<(), sqlx::Error> {
        let statements = AssertSqlSafe(statements.to_owned());
        match &self.kind {
            Kind::Sqlite { .. } => {
                let mut connection = self.sqlite_connection().await;
                sqlx::raw_sql(statements).execute(&mut connection).await?;
                connection.close().await
            }
            Kind::Postgres { .. } => {
                let mut connection = self.postgres_connection().await;
                sqlx::raw_sql(statements).execute(&mut connection).await?;
                connection.close().await
            }
        }
    }

    /// The one number that a query behind Keytile's back answers.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(query.to_owned());
        match &self.kind {
            Kind::Sqlite { .. } => sqlx::query_scalar(query).fetch_one(&mut self.sqlite_connection().await).await.unwrap(),
            Kind::Postgres { .. } => sqlx::query_scalar(query).fetch_one(&mut self.postgres_connection().await).await.unwrap(),
        }
    }

    /// A connection to the SQLite file.
    pub(crate) async fn sqlite_connection(&self) -> SqliteConnection {
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(self.file())).await.unwrap()
    }

    /// A connection to the PostgreSQL database.
    pub(crate) async fn postgres_connection(&self) -> PgConnection {
        PgConnection::connect_with(&PgConnectOptions::from_str(&self.url).unwrap()).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Kind::Postgres { server, name } = &self.kind else { return };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // A runtime of its own, on a thread of its own: the test's may be ending.
        let dropped = std::thread::scope(|scope| {
            let drop_it = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut connection = PgConnection::connect(server).await?;
                    connection.execute(AssertSqlSafe(statement)).await?;
                    connection.close().await
                })
            };
            scope.spawn(drop_it).join()
        });
        if !matches!(dropped, Ok(Ok(()))) {
            eprintln!("the database {name} of a test was left behind: {dropped:?}");
        }
    }
}
