//! Opening a database: what is kept over a restart, who may read the file, what a refusal says.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use keytile::{
    domain::resources::ResourceKind,
    store::{Store, StoreError, migrations::MIGRATIONS},
};
use sqlx::{Connection, Executor, Row};

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, SampleResource, access_token, audit, draft, later, new_user, sealed},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_restart_keeps_everything,
    a_closed_database_does_nothing,
    two_instances_prepare_the_tables_together,
    tables_of_a_newer_version_are_refused,
    changed_tables_are_refused,
);

async fn a_restart_keeps_everything(database: TestDatabase) {
    let store = database.open().await;
    let mine = new_user(&store).await;
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    let credential = Sample::new("Support EU").insert(&store).await;
    let resource = SampleResource::new("Users", credential).insert(&store).await;
    assert!(store.put_access_token(credential, 1, &access_token(b"token", later(1))).await.unwrap());
    assert!(store.set_installation_if_absent(NOW, b"check").await.unwrap());
    let before = store.credential(credential).await.unwrap().unwrap();
    store.close().await;

    let store = database.open().await;
    assert_eq!(store.credential(credential).await.unwrap().unwrap(), before);
    assert_eq!(before.secret, sealed("Support EU"));
    assert_eq!(store.resources_page(OWNER, ResourceKind::Source, None, 10).await.unwrap()[0].id, resource);
    assert!(store.user(mine).await.unwrap().is_some());
    assert_eq!(store.latest_open_draft(mine, &form.connector, NOW).await.unwrap().unwrap().id, form.id);
    assert_eq!(store.access_token(credential).await.unwrap().unwrap().sealed, b"token");
    assert_eq!(store.installation().await.unwrap().unwrap(), b"check");
    assert!(store.latest_verification(credential).await.unwrap().is_some());
}

async fn a_closed_database_does_nothing(database: TestDatabase) {
    let store = database.open().await;
    store.installation().await.unwrap();
    store.close().await;
    assert!(store.installation().await.is_err());
    assert!(store.record(&audit()).await.is_err());
}

async fn two_instances_prepare_the_tables_together(database: TestDatabase) {
    let (first, second) = tokio::join!(Store::open(database.url()), Store::open(database.url()));
    let (first, second) = (first.unwrap(), second.unwrap());
    let id = Sample::new("Support EU").insert(&first).await;
    assert!(second.credential(id).await.unwrap().is_some());
}

async fn tables_of_a_newer_version_are_refused(database: TestDatabase) {
    database.open().await.close().await;
    let truth = if database.is_postgres() { "TRUE" } else { "1" };
    let newer = format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        SELECT 9999, 'from the future', {truth}, checksum, 0 FROM _sqlx_migrations WHERE version = 1"
    );
    database.execute(&newer).await.unwrap();
    let error = refused(Store::open(database.url()).await);
    assert!(matches!(error, StoreError::Newer { found: 9999, known } if known == MIGRATIONS.len() as i64), "{error:?}");
    assert!(error.to_string().contains("newer version of Keytile"), "{error}");
    // And once more: the refusal holds no lock.
    assert!(Store::open(database.url()).await.is_err());
}

async fn changed_tables_are_refused(database: TestDatabase) {
    database.open().await.close().await;
    let zero = if database.is_postgres() { "'\\x00'" } else { "x'00'" };
    database.execute(&format!("UPDATE _sqlx_migrations SET checksum = {zero}")).await.unwrap();
    let error = refused(Store::open(database.url()).await);
    assert!(matches!(error, StoreError::Tables(_)), "{error:?}");
}

fn refused(result: Result<Store, StoreError>) -> StoreError {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn tables_that_stay_locked_are_named() {
    let database = TestDatabase::postgres().await;
    database.open().await.close().await;
    let mut other = database.postgres_connection().await;
    let mut transaction = other.begin().await.unwrap();
    transaction.execute("LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let impatient = format!("{}?options[lock_timeout]=50ms", database.url());
    let error = refused(Store::open(&impatient).await);
    assert!(matches!(error, StoreError::Locked(_)), "{error:?}");
    assert!(error.to_string().contains("has locked the database"), "{error}");
    transaction.rollback().await.unwrap();
    Store::open(&impatient).await.unwrap().close().await;
}

#[test]
fn both_databases_have_the_same_changes() {
    let folder = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name);
    let files = |name| -> BTreeSet<String> {
        fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let embedded: BTreeSet<String> = MIGRATIONS.iter().map(|file| format!("{}.sql", file.name)).collect();
    assert_eq!(files("sqlite"), embedded);
    assert_eq!(files("postgres"), embedded);
    for (position, file) in MIGRATIONS.iter().enumerate() {
        assert_eq!(file.version, position as i64 + 1, "{}", file.name);
        assert!(file.name.starts_with(&format!("{:04}_", file.version)), "{}", file.name);
    }
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let (sqlite, postgres) = (TestDatabase::sqlite(), TestDatabase::postgres().await);
    sqlite.open().await.close().await;
    postgres.open().await.close().await;
    let in_sqlite = sqlx::query(
        "SELECT m.name || '.' || c.name || ' ' || CASE c.type WHEN 'BLOB' THEN 'bytes' WHEN 'INTEGER' THEN 'bigint' ELSE lower(c.type) END
            || CASE c.\"notnull\" WHEN 1 THEN ' not null' ELSE '' END
        FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
    );
    let in_postgres = sqlx::query(
        "SELECT table_name || '.' || column_name || ' ' || CASE WHEN data_type IN ('bytea', 'uuid') THEN 'bytes' ELSE data_type END
            || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
    );
    let sqlite: BTreeSet<String> =
        in_sqlite.fetch_all(&mut sqlite.sqlite_connection().await).await.unwrap().iter().map(|row| row.get(0)).collect();
    let postgres: BTreeSet<String> =
        in_postgres.fetch_all(&mut postgres.postgres_connection().await).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(sqlite.contains("credentials.id bytes not null"), "{sqlite:?}");
    assert_eq!(sqlite, postgres);
}

#[tokio::test]
async fn a_new_file_is_private_and_so_is_what_is_beside_it() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    Sample::new("Support EU").insert(&store).await;
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(database.file().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        found.insert(entry.file_name().into_string().unwrap());
    }
    assert!(found.contains("keytile.db") && found.contains("keytile.db-wal"), "{found:?}");
    store.close().await;
    assert!(!database.file().with_extension("db-wal").exists(), "closing moves everything into the file");
}

#[tokio::test]
async fn a_wrong_url_is_refused_with_the_name_of_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!("sqlite:{}/no/keytile.db", folder.path().display());
    let not_a_file = format!("sqlite:{}", folder.path().display());
    for url in [
        "",
        "keytile.db",
        "mysql://localhost/keytile",
        "sqlite:",
        "sqlite://",
        "sqlite::memory:",
        "sqlite:file:keytile.db",
        "sqlite:keytile.db?mode=ro",
        &nowhere,
        &not_a_file,
    ] {
        let sentence = refused(Store::open(url).await).to_string();
        assert!(sentence.starts_with("--database-url: "), "{url}: {sentence}");
    }
}

#[tokio::test]
async fn no_refusal_holds_the_password() {
    for url in [
        "postgres://keytile:hunter2-canary@127.0.0.1:1/keytile",
        "postgres://keytile:hunter2-canary@127.0.0.1:notaport/keytile",
        "postgres://keytile:hunter2-canary@[::1/keytile",
        "postgres://keytile:hunter2-canary@/keytile?sslmode=hunter2-canary",
        "postgres://keytile@127.0.0.1:1/keytile?password=hunter2-canary",
        "postgres://keytile@127.0.0.1:1/keytile?passwrod=hunter2-canary",
        "postgres://keytile:hunter2-canary@127.0.0.1:1/keytile?port=hunter2-canary",
        "postgresql://keytile:hunter2-canary%00@127.0.0.1:1/keytile",
        "postgress://keytile:hunter2-canary@127.0.0.1/keytile",
    ] {
        let error = refused(Store::open(url).await);
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("hunter2") && !printed.contains("canary"), "{printed}");
        assert!(error.to_string().starts_with("--database-url: "), "{error}");
    }
}
