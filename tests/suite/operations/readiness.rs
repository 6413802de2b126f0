//! `/healthz` and `/readyz` tell how database and keyring really are, and which of the two fails; nothing else.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use keytile::crypto::{envelope::Place, keyring::Keyring};
use rlimit::{INFINITY, Resource, prlimit};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    process::Program,
    support::{
        database::TestDatabase,
        server::{Page, Server, Setup},
    },
    web::sessions::until,
};

/// After which time a writing is tried again.
const LATER: Duration = Duration::from_secs(11);

const READY: &str = "ready\ndatabase: ok\nkeyring: ok\n";
const NO_DATABASE: &str = "not ready\ndatabase: failing\nkeyring: unknown\n";
const NO_WRITING: &str = "not ready\ndatabase: failing\nkeyring: ok\n";
const OTHER_KEYRING: &str = "not ready\ndatabase: ok\nkeyring: failing\n";

/// A Keytile over this database, with a keyring of its own.
async fn start(database: &TestDatabase) -> (Setup, Server) {
    let setup = Setup::new();
    let keyring = setup.folder.path().join("own-keyring");
    Keyring::create(&keyring).unwrap();
    let setup = setup.with(format!("--database-url={}", database.url())).with(format!("--keyring={}", keyring.display()));
    let server = setup.start().await;
    (setup, server)
}

async fn ask(server: &Server, path: &str) -> Page {
    server.visitor().get(path).await
}

#[track_caller]
fn is(page: &Page, status: u16, text: &str) {
    assert_eq!((page.status, page.text.as_str()), (status, text));
}

/// Puts another check value in place of the one there is; answers the one there was.
async fn replace_check_value(database: &TestDatabase, store: &keytile::store::Store, sealed: &[u8]) -> Vec<u8> {
    let before = store.installation().await.unwrap().unwrap();
    let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    let literal = if database.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") };
    database.execute(&format!("UPDATE installation SET sealed = {literal}")).await.unwrap();
    before
}

async fn another_keyring_is_seen(database: TestDatabase) {
    let (_setup, server) = start(&database).await;
    is(&ask(&server, "/healthz").await, 200, "ok\ndatabase: unknown\nkeyring: unknown\n");
    is(&ask(&server, "/readyz").await, 200, READY);
    let store = database.open().await;
    let own = replace_check_value(&database, &store, &Keyring::generate().seal_packed(&Place::installation(), &[7; 32])).await;
    is(&ask(&server, "/readyz").await, 503, OTHER_KEYRING);
    is(&ask(&server, "/healthz").await, 200, "ok\ndatabase: ok\nkeyring: failing\n");
    replace_check_value(&database, &store, &own).await;
    is(&ask(&server, "/readyz").await, 200, READY);
    database.execute("DELETE FROM installation").await.unwrap();
    is(&ask(&server, "/readyz").await, 503, OTHER_KEYRING);
}

#[tokio::test]
async fn another_keyring_is_seen_in_sqlite() {
    another_keyring_is_seen(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn another_keyring_is_seen_in_postgres() {
    another_keyring_is_seen(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn a_database_that_another_program_keeps_locked_is_not_ready() {
    let database = TestDatabase::sqlite();
    let (setup, server) = start(&database).await;
    is(&ask(&server, "/readyz").await, 200, READY);
    let mut other = database.sqlite_connection().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    is(&ask(&server, "/readyz").await, 200, READY);
    setup.clock.advance(LATER);
    // Reading goes on, so that only the try to write shows it. Several who ask wait no longer than one.
    let (one, another) = tokio::join!(ask(&server, "/readyz"), ask(&server, "/readyz"));
    is(&one, 503, NO_WRITING);
    is(&another, 503, NO_WRITING);
    other.execute("ROLLBACK").await.unwrap();
    setup.clock.advance(LATER);
    until(async || ask(&server, "/readyz").await.status == 200).await;
}

#[tokio::test]
async fn a_database_that_only_reads_or_is_gone_is_not_ready() {
    let database = TestDatabase::postgres().await;
    let (setup, server) = start(&database).await;
    is(&ask(&server, "/readyz").await, 200, READY);
    let name = url::Url::parse(database.url()).unwrap().path()[1..].to_owned();
    let mut administrator = PgConnection::connect(&std::env::var("KEYTILE_TEST_POSTGRES").unwrap()).await.unwrap();
    let mut run = async |statement: String| administrator.execute(AssertSqlSafe(statement)).await.unwrap();
    // As after a fail-over to a server that follows: connections are made anew and may not write.
    let end_connections = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    run(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    run(end_connections.clone()).await;
    setup.clock.advance(LATER);
    is(&ask(&server, "/readyz").await, 503, NO_WRITING);
    run(format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    run(end_connections).await;
    setup.clock.advance(LATER);
    is(&ask(&server, "/readyz").await, 200, READY);
    run(format!("DROP DATABASE {name} WITH (FORCE)")).await;
    let gone = ask(&server, "/readyz").await;
    is(&gone, 503, NO_DATABASE);
    is(&ask(&server, "/healthz").await, 200, "ok\ndatabase: failing\nkeyring: unknown\n");
}

/// A disk without space, for this one process: the system lets it write nothing beyond the beginning of a file.
#[tokio::test]
async fn a_disk_without_space_is_not_ready_and_then_is_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // Without the trap the system would end a process that writes too much.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_keytile")]);
    command.current_dir(&folder).env_clear().stderr(Stdio::null());
    let program = Program::start_command(command);
    let health = || {
        let asked = Command::new(env!("CARGO_BIN_EXE_keytile")).args(["health", "--listen", &program.address]).output().unwrap();
        (asked.status.success(), String::from_utf8_lossy(&asked.stderr).into_owned())
    };
    let pid = i32::try_from(program.child.id()).unwrap();
    // No answer yet: the first one may already say so, because a success is believed for a while.
    prlimit(pid, Resource::FSIZE, Some((4_096, INFINITY)), None).unwrap();
    let full = program.ask("GET /readyz", "", "").await;
    assert!(full.starts_with("HTTP/1.1 503 ") && full.ends_with(NO_WRITING), "{full}");
    let (healthy, said) = health();
    assert!(!healthy && said.contains("503"), "{said}");
    prlimit(pid, Resource::FSIZE, Some((INFINITY, INFINITY)), None).unwrap();
    until(async || program.ask("GET /readyz", "", "").await.ends_with(READY)).await;
    assert!(health().0);
}
