//! The broker: the cost of a cached token, and many requests at the same time for one that must be fetched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use keytile::{
    app::{App, Overrides},
    domain::time::SystemClock,
    service::{
        Service,
        access::caller::{Caller, Origin},
        api_keys::authenticate::KeyCheck,
        proxy::{Admission, Visit},
        tokens::issue::TokenIssue,
    },
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    super::{Outcome, cpu_time, filled::config, row, spread},
    Pace,
    scene::{Scene, Side, fill},
};

/// Requests for a cached token per round.
const WARM: usize = 200_000;
/// Simultaneous requests for a token that must be fetched.
const COLD: usize = 10_000;
/// How long the service takes to issue one.
const SERVICE: Duration = Duration::from_secs(1);

/// Measures both, in this process.
pub(super) async fn figures(scene: &Scene, pace: Pace) -> Outcome<()> {
    let Side { filled, .. } = &scene.keytile;
    let warm = open(filled.folder.as_path(), &filled.arguments).await?;
    let caller = caller(warm.service(), &filled.key).await?;
    let (mut times, visit) = (Vec::new(), Visit::new(|_, _| {}));
    for _ in 0..pace.rounds {
        let began = cpu_time("self")?;
        for _ in 0..WARM {
            let key = filled.key.trim_start_matches("Bearer ");
            match warm.service().admit(&visit, key, filled.clear, Instant::now(), Origin::default).await? {
                Admission::Admitted(admitted) if warm.service().has_token(&admitted) => {}
                // The first time, it is in the database.
                Admission::Admitted(_) => issue(warm.service(), &caller, filled.clear).await?,
                _ => return Err("the request was not admitted".into()),
            }
        }
        times.push((cpu_time("self")? - began).as_secs_f64() * 1e6 / WARM as f64);
    }
    spread("**cached token for a request, with key, resource and access checked**, CPU time", &mut times, 2, " µs", "2 µs");
    let mut times = Vec::new();
    for _ in 0..pace.rounds {
        issue(warm.service(), &caller, filled.clear).await?;
        let began = cpu_time("self")?;
        for _ in 0..WARM {
            issue(warm.service(), &caller, filled.clear).await?;
        }
        times.push((cpu_time("self")? - began).as_secs_f64() * 1e6 / WARM as f64);
    }
    spread("issuing a token to an API client and recording it, CPU time", &mut times, 2, " µs", "");
    warm.service().close().await;
    let (mut over, mut fetches) = (Vec::new(), Vec::new());
    for round in 0..pace.rounds.min(3) {
        let folder = scene.folder.path().join(format!("cold-{round}"));
        let filled = fill(&folder, &filled.arguments).await?;
        let cold = open(&folder, &filled.arguments).await?;
        let caller = self::caller(cold.service(), &filled.key).await?;
        forget_tokens(&folder).await?;
        let before = scene.tokens.issued();
        scene.tokens.take(SERVICE);
        let began = Instant::now();
        let mut asking = JoinSet::new();
        for _ in 0..COLD {
            let (service, caller) = (cold.service().clone(), caller.clone());
            asking.spawn(async move { issue(&service, &caller, filled.clear).await.map_err(|error| error.to_string()) });
        }
        while let Some(ended) = asking.join_next().await {
            ended??;
        }
        over.push(began.elapsed().as_secs_f64() / SERVICE.as_secs_f64());
        scene.tokens.take(Duration::ZERO);
        fetches.push(scene.tokens.issued() - before);
        cold.service().close().await;
    }
    row(
        &format!("token requests when {COLD} clients ask at the same time"),
        &fetches.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        "1",
    );
    spread("time until all of them have a response, as a multiple of the service's time", &mut over, 2, "", "1.2");
    Ok(())
}

async fn open(folder: &std::path::Path, arguments: &[String]) -> Outcome<App> {
    let borrowed: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Ok(App::build(&config(folder, &borrowed), Arc::new(SystemClock), Overrides::default()).await?)
}

async fn caller(service: &Service, key: &str) -> Outcome<Caller> {
    match service.authenticate_key(key.trim_start_matches("Bearer "), Origin::default()).await? {
        KeyCheck::Accepted(caller) => Ok(caller),
        KeyCheck::Rejected(reason) => Err(reason.as_str().into()),
    }
}

async fn issue(service: &Service, caller: &Caller, resource: Uuid) -> Outcome<()> {
    match service.issue_token(caller, resource, Duration::ZERO).await? {
        TokenIssue::Issued(access) => {
            std::hint::black_box(access);
            Ok(())
        }
        _ => Err("no token".into()),
    }
}

/// Removes stored tokens. Saving a credential stores its token; without it, someone has to fetch one.
async fn forget_tokens(folder: &std::path::Path) -> Outcome<()> {
    use sqlx::Connection;
    let path = format!("sqlite:{}", folder.join("keytile.db").display());
    let mut database = sqlx::SqliteConnection::connect(&path).await?;
    sqlx::query("DELETE FROM access_tokens").execute(&mut database).await?;
    Ok(database.close().await?)
}
