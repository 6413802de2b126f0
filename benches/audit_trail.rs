//! Measures pages of an audit trail of a million events and the check of its chain, and prints a table for
//! `docs/performance.md`. Run it with `cargo bench --bench audit_trail`; with `KEYTILE_TEST_POSTGRES` it measures the
//! statements on that server too, in a database of its own.

use std::{error::Error, fs, path::Path, sync::Arc, time::Duration};

use clap::Parser;
use keytile::{
    app::open_service,
    config::StorageConfig,
    domain::{
        audit::event::AuditAction,
        time::{SystemClock, Timestamp},
    },
    service::{Service, access::caller::Caller, audit::trail::AuditFilter},
    store::{Store, queries},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The columns of an event, except ids and hash, which each database writes in its own way. Person 1 did a tenth of
/// the events, evenly; persons 1000 to 1999 the rest, each one in a thousand; person 2 did every second of the
/// first 300,000 and nothing since; person 3 did twenty. Targets 1 to 3 and actions are distributed likewise.
const COLUMNS: &str = "n, 1700000000000 + n * 1000, 'person', ID(CASE WHEN n % 50000 = 7 THEN 3 WHEN n % 2 = 0 AND n < 300000 THEN 2
    WHEN n % 10 = 1 THEN 1 ELSE 1000 + n % 1000 END), 'ana@example.com',
    CASE WHEN n % 1000 = 7 THEN 'user.add' WHEN n % 3 = 0 AND n < 300000 THEN 'session.limited' WHEN n % 2 = 0 THEN 'session.sign_in'
    ELSE 'resource.preview' END, 'resource', ID(CASE WHEN n % 50000 = 7 THEN 3 WHEN n % 2 = 0 AND n < 300000 THEN 2
    WHEN n % 10 = 1 THEN 1 ELSE 1000 + n % 5000 END), 'Nightly export of the contact centre', 'done', '192.0.2.17',
    '01972b5c-ee00-7223-91ce-079206e96f98', 'a GET request', HASH()";

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    storage: StorageConfig,
    /// How many events there are.
    #[arg(long, default_value_t = 1_000_000)]
    events: i64,
    /// Cargo passes this to every benchmark.
    #[arg(long)]
    bench: bool,
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let events = Arguments::parse().events;
    println!("| an audit trail with {events} events | SQLite, CPU time per page | PostgreSQL, CPU time of its statement |");
    println!("| --- | --- | --- |");
    runtime.block_on(run(events))
}

async fn run(events: i64) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let service = sqlite(folder.path(), events).await?;
    let mut postgres = match std::env::var("KEYTILE_TEST_POSTGRES") {
        Ok(server) => Some(Postgres::fill(&server, events).await?),
        Err(_) => None,
    };
    for (name, filter, before) in searches(events) {
        let mut micros = Vec::new();
        for _ in 0..9 {
            let began = cpu_time(std::process::id())?;
            for _ in 0..20 {
                service.audit_page(&Caller::server("bench"), &filter, before).await?;
            }
            micros.push((cpu_time(std::process::id())? - began).as_secs_f64() * 1e6 / 20.0);
        }
        let statement = match &mut postgres {
            Some(postgres) => spread(postgres.measure(&filter, before).await?),
            None => "not measured".to_owned(),
        };
        println!("| {name} | {} | {statement} |", spread(micros));
    }
    let began = cpu_time(std::process::id())?;
    let mut export = service.export_audit(&Caller::server("bench"), &AuditFilter::default()).await?;
    while export.next().await?.is_some() {}
    let export = (cpu_time(std::process::id())? - began).as_secs_f64();
    println!("| export of all | {:.1} µs per event | |", export * 1e6 / events as f64);
    service.close().await;
    let fresh = tempfile::tempdir()?;
    let service = open(fresh.path()).await?;
    for _ in 0..5_000 {
        service.record_forged_form(&Caller::server("bench"), "/somewhere").await?;
    }
    let began = cpu_time(std::process::id())?;
    for _ in 0..5 {
        service.check_audit(&Caller::server("bench"), None).await?.map_err(|broken| broken.to_string())?;
    }
    let check = (cpu_time(std::process::id())? - began).as_secs_f64();
    println!("| check of the chain | {:.1} µs per event | |", check * 1e6 / 25_000.0);
    service.close().await;
    if let Some(postgres) = postgres {
        postgres.drop().await?;
    }
    Ok(())
}

/// The filters to measure, and the sequence number before which the page begins.
fn searches(events: i64) -> Vec<(&'static str, AuditFilter, Option<i64>)> {
    let (id, none) = (|number: u128| Some(Uuid::from_u128(number)), AuditFilter::default());
    let actor = |number| AuditFilter { actor: id(number), ..AuditFilter::default() };
    let target = |number| AuditFilter { target: id(number), ..AuditFilter::default() };
    let action = |action| AuditFilter { action: Some(action), ..AuditFilter::default() };
    let with = |filter: AuditFilter, action| AuditFilter { action: Some(action), ..filter };
    let both = |number| AuditFilter { actor: id(number), target: id(number), ..AuditFilter::default() };
    let at = |seq: i64| Some(Timestamp::from_millis(1_700_000_000_000 + seq * 1_000));
    vec![
        ("first page", none.clone(), None),
        ("in the middle", none.clone(), Some(events / 2)),
        ("last page", none.clone(), Some(51)),
        ("between two times", AuditFilter { from: at(events * 2 / 5), until: at(events * 3 / 5), ..none }, None),
        ("a person with a tenth of all", actor(1), None),
        ("the same, last page", actor(1), Some(events * 3 / 5)),
        ("a person who was active long ago", actor(2), None),
        ("a person with 20 events", actor(3), None),
        ("a person with none", actor(9), None),
        ("a target with a tenth of all", target(1), None),
        ("a target that was used long ago", target(2), None),
        ("a target with 20 events", target(3), None),
        ("a frequent action", action(AuditAction::PreviewResource), None),
        ("an action that was frequent long ago", action(AuditAction::SignInLimited), None),
        ("a rare action", action(AuditAction::AddUser), None),
        ("an action that was never done", action(AuditAction::HandOver), None),
        ("person and action", with(actor(1), AuditAction::PreviewResource), None),
        ("person and action, long ago", with(actor(2), AuditAction::SignInLimited), None),
        ("person and action, never", with(actor(1), AuditAction::HandOver), None),
        ("target and action", with(target(1), AuditAction::PreviewResource), None),
        ("target and action, never", with(target(1), AuditAction::HandOver), None),
        ("person and target", both(1), None),
        ("person and target, long ago", both(2), None),
        ("person and target, never", AuditFilter { actor: id(1), ..target(2) }, None),
        ("person, target and action", with(both(1), AuditAction::PreviewResource), None),
        ("person, target and action, never, of 100,000 together", with(both(1), AuditAction::HandOver), None),
    ]
}

fn spread(mut micros: Vec<f64>) -> String {
    micros.sort_by(f64::total_cmp);
    format!("{:.0} µs ({:.0} to {:.0})", micros[micros.len() / 2], micros[0], micros[micros.len() - 1])
}

/// CPU time of all threads of a process.
fn cpu_time(process: u32) -> Outcome<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split_whitespace().next().ok_or("no time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

async fn open(folder: &Path) -> Outcome<Service> {
    let data = format!("--data-dir={}", folder.display());
    Ok(open_service(&Arguments::parse_from(["keytile", &data]).storage, Arc::new(SystemClock)).await?)
}

/// Replaces `ID(…)` and `HASH()`.
fn written(id: (&str, &str), hash: &str) -> String {
    let mut text = COLUMNS.replace("HASH()", hash);
    while let Some(at) = text.find("ID(") {
        let mut depth = 0;
        let length = text[at + 2..].find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let end = at + 2 + length.unwrap_or(0);
        text = format!("{}{}{}{}{}", &text[..at], id.0, &text[at + 3..end], id.1, &text[end + 1..]);
    }
    text
}

async fn sqlite(folder: &Path, events: i64) -> Outcome<Service> {
    open(folder).await?.close().await;
    let mut database = SqliteConnection::connect(&format!("sqlite:{}", folder.join("keytile.db").display())).await?;
    let columns = written(("unhex(printf('%032x', ", "))"), "randomblob(32)");
    let series = format!("WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {events})");
    let fill = format!("{series} INSERT INTO audit_events SELECT {columns} FROM s");
    database.execute(AssertSqlSafe(fill)).await?;
    let head = format!("UPDATE audit_head SET seq = {events}, at = 1700000000000 + {events} * 1000");
    database.execute(AssertSqlSafe(head)).await?;
    database.close().await?;
    open(folder).await
}

/// A database on the server, and one connection whose process can be watched.
struct Postgres {
    server: String,
    name: String,
    connection: PgConnection,
    process: u32,
}

impl Postgres {
    async fn fill(server: &str, events: i64) -> Outcome<Self> {
        let name = format!("keytile_bench_{}", std::process::id());
        let mut owner = PgConnection::connect(server).await?;
        owner.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let mut url = url::Url::parse(server)?;
        url.set_path(&name);
        Store::open(url.as_str()).await?.close().await;
        let mut connection = PgConnection::connect(url.as_str()).await?;
        let columns = written(("lpad(to_hex(", "), 32, '0')::uuid"), "sha256(n::text::bytea)");
        let fill = format!("INSERT INTO audit_events SELECT {columns} FROM generate_series(1, {events}) AS n");
        connection.execute(AssertSqlSafe(fill)).await?;
        connection.execute("VACUUM ANALYZE audit_events").await?;
        let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        Ok(Self { server: server.to_owned(), name, connection, process: u32::try_from(process)? })
    }

    /// The server's time for the statement of a page, in microseconds; times as sequence numbers, as the service
    /// makes them.
    async fn measure(&mut self, filter: &AuditFilter, before: Option<i64>) -> Outcome<Vec<f64>> {
        let place = |at: Option<Timestamp>| at.map(|at| (at.as_millis() - 1_700_000_000_000) / 1_000);
        let end = place(filter.until).unwrap_or(i64::MAX).min(before.unwrap_or(i64::MAX));
        let lookup = match (filter.actor, filter.target, filter.action) {
            (None, None, None) => queries::AUDIT,
            (Some(_), None, None) => queries::AUDIT_OF_ACTOR,
            (None, Some(_), None) => queries::AUDIT_OF_TARGET,
            (None, None, Some(_)) => queries::AUDIT_OF_ACTION,
            (Some(_), None, Some(_)) => queries::AUDIT_OF_ACTOR_AND_ACTION,
            (None, Some(_), Some(_)) => queries::AUDIT_OF_TARGET_AND_ACTION,
            (Some(_), Some(_), None) => queries::AUDIT_OF_ACTOR_AND_TARGET,
            (Some(_), Some(_), Some(_)) => queries::AUDIT_OF_ALL_THREE,
        };
        let sign = if filter.actor.is_none() && filter.target.is_none() && filter.action.is_none() { 1 } else { -1 };
        let mut micros = Vec::new();
        for _ in 0..9 {
            let began = cpu_time(self.process)?;
            for _ in 0..20 {
                let start = place(filter.from).unwrap_or(1);
                let mut query = sqlx::query(lookup.newest_first).bind(sign * start).bind(sign * end).bind(51_i64);
                if let Some(actor) = filter.actor {
                    query = query.bind(actor);
                }
                if let Some(target) = filter.target {
                    query = query.bind(target);
                }
                if let Some(action) = filter.action {
                    query = query.bind(action.as_str());
                }
                query.fetch_all(&mut self.connection).await?;
            }
            micros.push((cpu_time(self.process)? - began).as_secs_f64() * 1e6 / 20.0);
        }
        Ok(micros)
    }

    async fn drop(self) -> Outcome<()> {
        self.connection.close().await?;
        let mut owner = PgConnection::connect(&self.server).await?;
        owner.execute(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name))).await?;
        owner.close().await?;
        Ok(())
    }
}
