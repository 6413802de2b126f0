//! The cost of checking a caller: an API key, a session, and for comparison a row read with sqlx alone, which is
//! the least that a check would cost without a cache.

use std::{hint::black_box, path::Path, sync::Arc, time::Duration};

use keytile::{
    app::{App, Overrides},
    crypto::{hash, random},
    domain::{
        api_keys::ApiKeyText,
        time::{Clock, SystemClock},
    },
    service::{Service, access::caller::Origin, api_keys::authenticate::KeyCheck, auth::sessions::SessionState},
    store::queries,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use super::{
    Outcome, cpu_time,
    filled::{administrator, config},
    spread,
};

const ROUNDS: usize = 9;
/// Checks of a cached key or session per round.
const WARM: usize = 200_000;
/// Checks of an uncached key or session per round; each time a different one.
const COLD: usize = 1_000;

/// Measures cached and uncached checks.
pub(super) async fn figures() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let app = App::build(&config(folder.path(), &[]), Arc::new(SystemClock), Overrides::default()).await?;
    let service = app.service();
    let (cookie, ana) = administrator(service).await?;
    let owner = ana.user().ok_or("an account")?;
    let (sessions, keys) = fill(folder.path(), owner, ROUNDS * COLD + 1).await?;
    let options = SqliteConnectOptions::new().filename(folder.path().join("keytile.db")).read_only(true);
    let pool = SqlitePool::connect_with(options).await?;
    let mut figures: [Vec<f64>; 5] = Default::default();
    for round in 0..ROUNDS {
        let cold = round * COLD + 1..(round + 1) * COLD + 1;
        let began = cpu_time("self")?;
        for _ in 0..WARM {
            check_key(service, &keys[0]).await?;
        }
        figures[0].push(since(began, WARM)? * 1e3);
        let began = cpu_time("self")?;
        for key in &keys[cold.clone()] {
            check_key(service, key).await?;
        }
        figures[1].push(since(began, COLD)?);
        let began = cpu_time("self")?;
        for _ in 0..WARM {
            check_session(service, &cookie).await?;
        }
        figures[2].push(since(began, WARM)?);
        let began = cpu_time("self")?;
        for session in &sessions[cold.clone()] {
            check_session(service, session).await?;
        }
        figures[3].push(since(began, COLD)?);
        let hashes: Vec<[u8; 32]> = sessions[cold].iter().map(hash::session_hash).collect();
        let began = cpu_time("self")?;
        for hash in &hashes {
            black_box(sqlx::query(queries::SESSION).bind(&hash[..]).fetch_one(&pool).await?);
        }
        figures[4].push(since(began, COLD)?);
    }
    let names = [
        ("API key check, CPU time, cached", " ns", "1,000 ns"),
        ("API key check, CPU time, not cached", " µs", ""),
        ("session check, CPU time, cached", " µs", "150 µs"),
        ("session check, CPU time, not cached", " µs", ""),
        ("for comparison: reading a session's row with sqlx alone", " µs", ""),
    ];
    for ((name, unit, limit), mut values) in names.into_iter().zip(figures) {
        let digits = if values[0] < 10.0 { 1 } else { 0 };
        spread(name, &mut values, digits, unit, limit);
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

/// Stores this many sessions and keys of a user directly in the database.
async fn fill(folder: &Path, owner: Uuid, count: usize) -> Outcome<(Vec<SecretString>, Vec<ApiKeyText>)> {
    const SESSION: &str = "INSERT INTO sessions (hash, id, owner, stage, method, address, agent, created_at, used_at, expires_at)
        VALUES ($1, $2, $3, 'signed_in', 'password', '', '', $4, $5, $5)";
    const KEY: &str = "INSERT INTO api_keys (id, owner, name, hint, hash, scopes, restricted, created_at, last_used_at, form_id)
        VALUES ($1, $2, 'Exports', $3, $4, 'resources:read proxy', 0, $5, $6, $1)";
    let mut database = SqliteConnection::connect(&format!("sqlite:{}", folder.join("keytile.db").display())).await?;
    let mut transaction = database.begin().await?;
    let now = SystemClock.now();
    // Later than the end of the benchmark, so that it measures the check and not the writing of the last use.
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

/// CPU time of this process since then, in microseconds per item.
fn since(began: Duration, count: usize) -> Outcome<f64> {
    Ok((cpu_time("self")? - began).as_secs_f64() * 1e6 / count as f64)
}
