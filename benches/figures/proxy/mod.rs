//! Compares the proxy with nginx, which only adds a fixed header. Everything runs on this machine and in one
//! temporary folder: a service that accepts only the right authorization, nginx as its reverse proxy, and Keytile
//! with all its checks. All sides are measured in turn, and comparisons are within a round.
//!
//! Run it with `scripts/bench proxy`, which prepares nginx and wrk. `--quick` takes few and short rounds,
//! `--rounds` sets their number, `--whole` sends 10 GiB instead of 1 GiB.

mod broker;
mod clients;
mod contest;
mod large;
mod nginx;
mod relay;
mod scene;
mod services;
mod small;
mod wrk;

use std::time::Duration;

use self::scene::Scene;
use super::Outcome;

/// Duration and number of measurements.
#[derive(Clone, Copy)]
struct Pace {
    rounds: usize,
    /// How long one side is measured in a round.
    each: Duration,
    /// The size of the transfer that shows whether memory grows, in bytes.
    much: u64,
}

/// Measures everything, or the named parts.
pub(super) fn figures(words: &[String]) -> Outcome<()> {
    let mut pace = Pace { rounds: 7, each: Duration::from_secs(3), much: 1 << 30 };
    let mut parts = Vec::new();
    let mut rounds = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => (pace.rounds, pace.each) = (3, Duration::from_secs(1)),
            "--rounds" => rounds = Some(words.next().and_then(|count| count.parse().ok()).ok_or("--rounds needs a number")?),
            "--whole" => pace.much = 10 << 30,
            part if !part.starts_with('-') => parts.push(part),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    pace.rounds = rounds.unwrap_or(pace.rounds);
    let asked = |part: &str| parts.is_empty() || parts.contains(&part);
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let scene = runtime.block_on(Scene::set())?;
    println!("| benchmark | measured | limit |\n| --- | --- | --- |");
    if asked("small") {
        small::figures(&scene, pace)?;
    }
    if asked("large") {
        large::figures(&scene, pace)?;
    }
    if asked("memory") {
        runtime.block_on(clients::memory(&scene, pace))?;
    }
    if asked("latency") {
        runtime.block_on(clients::latency(&scene, pace))?;
    }
    if asked("api") {
        small::api_figures(&scene, pace)?;
    }
    if asked("broker") {
        runtime.block_on(broker::figures(&scene, pace))?;
    }
    Ok(())
}
