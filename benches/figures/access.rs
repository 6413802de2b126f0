//! The figures of `docs/performance.md` on checking who calls: an API key, a session, and beside them a row read
//! through sqlx without anything of Keytile, because that is what a check would cost at least if nothing were
//! remembered. CPU time is that of all threads of the process, read from the kernel.
//!
//! Run it with `scripts/bench`.

use std::{error::Error, fs, hint::black_box, path::Path, sync::Arc, time::Duration};

use clap::Parser;
use keytile::{
    app::{App, Overrides},
    config::Config,
    crypto::{hash, random},
    domain::{
        api_key::ApiKeyText,
        time::{Clock, SystemClock},
    },
    service::{
        Service,
        accounts::{RawSetUp, SetUpOutcome},
        caller::{Caller, Origin},
        key_check::KeyCheck,
        sessions::SessionState,
    },
    store::lookups,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 9;
/// How often a round checks what is remembered.
const WARM: usize = 200_000;
/// How often a round checks what is not; each time it is another key or session.
const COLD: usize = 1_000;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Cargo passes this to every benchmark.
    #[arg(long)]
    bench: bool,
}

fn main() -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let arguments = ["keytile", "--listen=127.0.0.1:0", &format!("--data-dir={}", folder.path().display())];
    let config = Arguments::parse_from(arguments).config;
    let app = App::build(&config, Arc::new(SystemClock), Overrides::default()).await?;
    let service = app.service();
    let (cookie, owner) = administrator(service).await?;
    let (sessions, keys) = fill(folder.path(), owner, ROUNDS * COLD + 1).await?;
    let options = SqliteConnectOptions::new().filename(folder.path().join("keytile.db")).read_only(true);
    let pool = SqlitePool::connect_with(options).await?;
    let mut figures: [Vec<f64>; 5] = Default::default();
    for round in 0..ROUNDS {
        let cold = round * COLD + 1..(round + 1) * COLD + 1;
        let began = cpu_time()?;
        for _ in 0..WARM {
            check_key(service, &keys[0]).await?;
        }
        figures[0].push(since(began, WARM)? * 1e3);
        let began = cpu_time()?;
        for key in &keys[cold.clone()] {
            check_key(service, key).await?;
        }
        figures[1].push(since(began, COLD)?);
        let began = cpu_time()?;
        for _ in 0..WARM {
            check_session(service, &cookie).await?;
        }
        figures[2].push(since(began, WARM)?);
        let began = cpu_time()?;
        for session in &sessions[cold.clone()] {
            check_session(service, session).await?;
        }
        figures[3].push(since(began, COLD)?);
        let hashes: Vec<[u8; 32]> = sessions[cold].iter().map(hash::session_hash).collect();
        let began = cpu_time()?;
        for hash in &hashes {
            black_box(sqlx::query(lookups::SESSION).bind(&hash[..]).fetch_one(&pool).await?);
        }
        figures[4].push(since(began, COLD)?);
    }
    let names = [
        ("API key check, CPU time, remembered", "ns", "1,000 ns"),
        ("API key check, CPU time, first time", "µs", ""),
        ("session check, CPU time, remembered", "µs", "150 µs"),
        ("session check, CPU time, first time", "µs", ""),
        ("for comparison: the row of a session, read through sqlx alone", "µs", ""),
    ];
    println!("| figure | measured | limit |\n| --- | --- | --- |");
    for ((name, unit, limit), mut values) in names.into_iter().zip(figures) {
        values.sort_by(f64::total_cmp);
        let digits = if values[0] < 10.0 { 1 } else { 0 };
        let [least, middle, most] = [0, ROUNDS / 2, ROUNDS - 1].map(|index| format!("{:.digits$}", values[index]));
        println!("| {name} | {middle} {unit} ({least} to {most}) | {limit} |");
    }
    pool.close().await;
    service.close().await;
    Ok(())
}

async fn check_key(service: &Service, key: &ApiKeyText) -> Outcome<()> {
    match service.authenticate_key(black_box(key.expose()), Origin::default()).await? {
        KeyCheck::Accepted(caller) => {
            black_box(caller);
            Ok(())
        }
        KeyCheck::Rejected(reason) => Err(reason.as_str().into()),
    }
}

async fn check_session(service: &Service, cookie: &SecretString) -> Outcome<()> {
    match service.resume_session(black_box(cookie.expose_secret())).await? {
        SessionState::Live(session) => {
            black_box(session);
            Ok(())
        }
        _ => Err("no live session".into()),
    }
}

/// The first administrator: what the cookie holds, and the account.
async fn administrator(service: &Service) -> Outcome<(SecretString, Uuid)> {
    let token = service.setup_token().await?.ok_or("there is an account already")?;
    let password = SecretString::from("kiln glaze 77 Tuesday teapot");
    let raw = RawSetUp { email: "ana@example.com".into(), name: "Ana".into(), password };
    let nobody = Caller::nobody("", Origin::default());
    let SetUpOutcome::Done(cookie) = service.set_up(&nobody, token.expose_secret(), &raw, "").await? else {
        return Err("no administrator was made".into());
    };
    match service.resume_session(cookie.expose_secret()).await? {
        SessionState::Live(session) => Ok((cookie, session.person.id)),
        _ => Err("nobody is signed in".into()),
    }
}

/// Stores so many sessions and keys of an account, past Keytile.
async fn fill(folder: &Path, owner: Uuid, count: usize) -> Outcome<(Vec<SecretString>, Vec<ApiKeyText>)> {
    const SESSION: &str = "INSERT INTO sessions (hash, id, owner, stage, method, address, agent, created_at, used_at, expires_at)
        VALUES ($1, $2, $3, 'signed_in', 'password', '', '', $4, $5, $5)";
    const KEY: &str = "INSERT INTO api_keys (id, owner, name, hint, hash, scopes, restricted, created_at, last_used_at, form_id)
        VALUES ($1, $2, 'Exports', $3, $4, 'resources:read proxy', 0, $5, $6, $1)";
    let mut database = SqliteConnection::connect(&format!("sqlite:{}", folder.join("keytile.db").display())).await?;
    let mut transaction = database.begin().await?;
    let now = SystemClock.now();
    // Used later than the benchmark ends, so that what is measured is the check and not the writing of its time.
    let later = now.plus(Duration::from_secs(3_600)).as_millis();
    let (mut sessions, mut keys) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (cookie, key) = (random::url_token(), ApiKeyText::from_bytes(&random::bytes()));
        let session = sqlx::query(SESSION).bind(hash::session_hash(&cookie).to_vec()).bind(random::new_id(now)).bind(owner);
        session.bind(now.as_millis()).bind(later).execute(&mut *transaction).await?;
        let row = sqlx::query(KEY).bind(random::new_id(now)).bind(owner).bind(key.hint());
        let row = row.bind(hash::api_key_hash(&key).to_vec()).bind(now.as_millis()).bind(later);
        row.execute(&mut *transaction).await?;
        sessions.push(cookie);
        keys.push(key);
    }
    transaction.commit().await?;
    database.close().await?;
    Ok((sessions, keys))
}

/// CPU time of all threads of this process.
fn cpu_time() -> Outcome<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split_whitespace().next().ok_or("no time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Microseconds of CPU time for each of so many since then.
fn since(began: Duration, count: usize) -> Outcome<f64> {
    Ok((cpu_time()? - began).as_secs_f64() * 1e6 / count as f64)
}
