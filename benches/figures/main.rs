//! The figures of `docs/performance.md`: start, memory, size, the Authenticate page, what Keytile adds to Save, the
//! cost of checking a caller, and the effect of a flood of sign-ins on other pages. Each is printed next to its
//! limit. CPU time is read from the kernel, because machines are noisy.
//!
//! Run it with `scripts/bench`; `scripts/bench proxy` compares the proxy with nginx instead (see `proxy`).

mod access;
mod filled;
mod flood;
mod proxy;
mod running;
mod save;

use std::{error::Error, fs, time::Duration};

use running::{Running, TILES};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.first().map(String::as_str) {
        None => program_figures(),
        Some("proxy") => proxy::figures(&words[1..]),
        Some(other) => Err(format!("there is no benchmark called {other}").into()),
    }
}

fn program_figures() -> Outcome<()> {
    // Threads stay alive, because the CPU time of finished threads isn't counted.
    let stay = Duration::from_secs(3_600);
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_keep_alive(stay).enable_all().build()?;
    println!("| benchmark | measured | limit |\n| --- | --- | --- |");
    row("release binary", &format!("{:.1} MB", fs::metadata(running::program())?.len() as f64 / 1e6), "25 MB");
    let few = runtime.block_on(filled::fill(1_000))?;
    let many = runtime.block_on(filled::fill(100_000))?;
    start_figures(&few)?;
    tile_figures(&few, &many)?;
    runtime.block_on(save::figures())?;
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_keep_alive(stay).enable_all().build()?;
    runtime.block_on(access::figures())?;
    flood::figures(&few)
}

fn row(figure: &str, measured: &str, limit: &str) {
    println!("| {figure} | {measured} | {limit} |");
}

/// A figure of several rounds: median, minimum and maximum.
fn spread(figure: &str, values: &mut [f64], digits: usize, unit: &str, limit: &str) {
    row(figure, &middle_and_range(values, digits, unit), limit);
}

fn middle_and_range(values: &mut [f64], digits: usize, unit: &str) -> String {
    values.sort_by(f64::total_cmp);
    let [middle, least, most] = [values.len() / 2, 0, values.len() - 1].map(|index| format!("{:.digits$}", values[index]));
    format!("{middle}{unit} ({least} to {most})")
}

/// CPU time of all live threads of a process.
fn cpu_time(process: &str) -> Outcome<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split_whitespace().next().ok_or("no time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn start_figures(filled: &filled::Filled) -> Outcome<()> {
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..15 {
        let running = Running::start(filled, &[])?;
        running.get(TILES, 1)?;
        starts.push(running.started.elapsed().as_secs_f64() * 1e3);
        running.get(TILES, 20)?;
        memory.push(running.memory()?);
    }
    spread("start to first response, 1,000 credentials", &mut starts, 0, " ms", "100 ms");
    spread("idle memory after 21 pages", &mut memory, 1, " MB", "30 MB");
    Ok(())
}

fn tile_figures(few: &filled::Filled, many: &filled::Filled) -> Outcome<()> {
    const REQUESTS: usize = 500;
    let (few, many) = (Running::start(few, &[])?, Running::start(many, &[])?);
    let mut of_few = Vec::new();
    let mut ratios = Vec::new();
    let path = |running: &Running| -> Outcome<f64> {
        let before = running.cpu_time()?;
        running.get(TILES, REQUESTS)?;
        Ok((running.cpu_time()? - before).as_secs_f64() * 1e6 / REQUESTS as f64)
    };
    for running in [&few, &many] {
        running.get(TILES, REQUESTS)?;
    }
    for _ in 0..9 {
        let (one, other) = (path(&few)?, path(&many)?);
        of_few.push(one);
        ratios.push(other / one);
    }
    spread("Authenticate page with 50 tiles, CPU time per request", &mut of_few, 0, " µs", "1,000 µs");
    spread("the same with 100,000 credentials, as a multiple", &mut ratios, 2, "", "1.5");
    let mut searches = Vec::new();
    for _ in 0..9 {
        let before = many.cpu_time()?;
        many.get(&format!("{TILES}?q=nowhere"), 1)?;
        searches.push((many.cpu_time()? - before).as_secs_f64() * 1e3);
    }
    spread("a search of 100,000 tiles without a match, CPU time", &mut searches, 0, " ms", "");
    Ok(())
}
