//! How a flood of sign-ins affects other pages: strangers with ever new addresses try passwords for ever new
//! accounts, so that no limit of an account or an address stops them and every attempt would cost a hash.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use keytile::crypto::hash;

use super::{
    Outcome,
    filled::Filled,
    row,
    running::{Connection, Running, TILES, expect_page},
    spread,
};

const ROUNDS: usize = 5;
/// Pages requested per round, one after the other.
const PAGES: usize = 500;
/// Connections of the flood.
const CONNECTIONS: u32 = 50;
/// The time from one attempt of a connection to its next, if the first has been answered.
const PACE: Duration = Duration::from_millis(100);

/// Requests pages without and with a flood, in turn.
pub(super) fn figures(filled: &Filled) -> Outcome<()> {
    let running = Running::start(filled, &["--trusted-proxy", "127.0.0.0/8", "--log-level", "error"])?;
    running.get(TILES, PAGES)?;
    let (mut quiet, mut flooded, mut answers) = (Vec::new(), Vec::new(), BTreeMap::<u16, u32>::new());
    let next = AtomicU32::new(0);
    for _ in 0..ROUNDS {
        quiet.push(slowest_of_a_hundred(&running)?);
        let over = AtomicBool::new(false);
        let slow = thread::scope(|scope| -> Outcome<f64> {
            let flood: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| try_passwords(&running, &next, &over))).collect();
            let slow = slowest_of_a_hundred(&running);
            over.store(true, Ordering::Relaxed);
            for connection in flood {
                for status in connection.join().map_err(|_| "the flood failed")?? {
                    *answers.entry(status).or_default() += 1;
                }
            }
            slow
        })?;
        flooded.push(slow);
    }
    spread("p99 of the Authenticate page without other load", &mut quiet, 1, " ms", "");
    spread("the same during a flood of sign-ins", &mut flooded, 1, " ms", "50 ms");
    let answers: Vec<String> = answers.into_iter().map(|(status, count)| format!("{count} × {status}")).collect();
    row("responses to those sign-ins", &answers.join(", "), "");
    Ok(())
}

/// The 99th percentile of page times, in milliseconds.
fn slowest_of_a_hundred(running: &Running) -> Outcome<f64> {
    let mut connection = running.connect()?;
    let request = running.page(TILES);
    let mut times = Vec::with_capacity(PAGES);
    for _ in 0..PAGES {
        let began = Instant::now();
        expect_page(connection.ask(&request)?)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[PAGES * 99 / 100])
}

/// Tries passwords on one connection until the round is over; returns the statuses.
fn try_passwords(running: &Running, next: &AtomicU32, over: &AtomicBool) -> Result<Vec<u16>, String> {
    let mut connection = running.connect().map_err(|error| error.to_string())?;
    let mut statuses = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let number = next.fetch_add(1, Ordering::Relaxed);
        statuses.push(try_one(running, &mut connection, number).map_err(|error| error.to_string())?);
        thread::sleep(PACE.saturating_sub(began.elapsed()));
    }
    Ok(statuses)
}

fn try_one(running: &Running, connection: &mut Connection, number: u32) -> Outcome<u16> {
    let cookie = format!("{number:043}");
    let [_, a, b, c] = number.to_be_bytes();
    let body =
        format!("email=nobody{number}%40example.com&password=wrong+password+{number}&form_token={}", hash::form_token(&cookie));
    connection.ask(&format!(
        "POST /sign-in HTTP/1.1\r\nHost: {}\r\nCookie: keytile_session={cookie}\r\nX-Forwarded-For: 10.{a}.{b}.{c}\r\n\
         Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        running.address,
        body.len()
    ))
}
