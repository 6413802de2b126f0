//! The figures of `docs/performance.md`: start, memory, size, the Authenticate page, and what Keytile adds to
//! Save. Each is printed beside its limit. CPU time is the program's own, read from the kernel, because the
//! machines are noisy.
//!
//! Run it with `scripts/bench`.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use keytile::{
    app::{App, Overrides},
    config::Config,
    crypto::{envelope::Place, keyring::Keyring, random},
    domain::{
        connector::{ConnectorId, FieldId},
        form::RawForm,
        time::{Clock, SystemClock},
        values::{FieldValue, FieldValues},
        verification::{StageObserver, StageReport},
    },
    service::{
        Service,
        accounts::{RawSetUp, SetUpOutcome},
        caller::{Caller, Origin},
        save::SaveOutcome,
        sessions::SessionState,
    },
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, SqliteConnection};

type Outcome<T> = Result<T, Box<dyn Error>>;

const TILES: &str = "/sources/new/talkdesk/authenticate";

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Cargo passes this to every benchmark.
    #[arg(long)]
    bench: bool,
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let few = tempfile::tempdir()?;
    let many = tempfile::tempdir()?;
    println!("| figure | measured | limit |\n| --- | --- | --- |");
    row("release binary", &format!("{:.1} MB", fs::metadata(program())?.len() as f64 / 1e6), "25 MB");
    let few = Filled { cookie: runtime.block_on(fill(few.path(), 1_000))?, folder: few };
    let many = Filled { cookie: runtime.block_on(fill(many.path(), 100_000))?, folder: many };
    start_figures(&few)?;
    tile_figures(&few, &many)?;
    runtime.block_on(save_figures())?;
    Ok(())
}

fn row(figure: &str, measured: &str, limit: &str) {
    println!("| {figure} | {measured} | {limit} |");
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_keytile"))
}

fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn config(folder: &Path, more: &[&str]) -> Config {
    let data_dir = format!("--data-dir={}", folder.display());
    let own = ["keytile", "--listen=127.0.0.1:0", &data_dir];
    Arguments::parse_from(own.iter().chain(more)).config
}

/// A folder with a database, and the cookie of the administrator who owns all of it.
struct Filled {
    folder: tempfile::TempDir,
    cookie: String,
}

/// Makes the first administrator; answers the cookie of the session, and who it is.
async fn administrator(service: &Service) -> Outcome<(SecretString, Caller)> {
    let token = service.setup_token().await?.ok_or("there is an account already")?;
    let raw = RawSetUp {
        email: "ana@example.com".into(),
        name: "Ana".into(),
        password: "kiln glaze 77 Tuesday teapot".to_owned().into(),
    };
    let nobody = Caller::nobody("", Origin::default());
    let SetUpOutcome::Done(cookie) = service.set_up(&nobody, token.expose_secret(), &raw, "").await? else {
        return Err("the set-up was refused".into());
    };
    let SessionState::Live(session) = service.resume_session(cookie.expose_secret()).await? else {
        return Err("nobody is signed in".into());
    };
    Ok((cookie, Caller::person(session.person, Origin::default())))
}

/// Makes a database of so many credentials of the administrator, with sealed values and a resource for every third of them.
async fn fill(folder: &Path, credentials: usize) -> Outcome<String> {
    let app = App::build(&config(folder, &[]), Arc::new(SystemClock), Overrides::default()).await?;
    let (cookie, ana) = administrator(app.service()).await?;
    let owner = ana.user().ok_or("an account")?;
    app.service().close().await;
    drop(app);
    let keyring = Keyring::load(&folder.join("keyring"))?;
    let mut database = SqliteConnection::connect(&format!("sqlite:{}", folder.join("keytile.db").display())).await?;
    let mut transaction = database.begin().await?;
    let talkdesk = ConnectorId::new("talkdesk").ok_or("no id")?;
    for number in 0..credentials {
        let now = SystemClock.now();
        let id = random::new_id(now);
        let name = format!("Desk {number:06}");
        let sealed = keyring.seal(&Place::credential_secret(id, 1, &talkdesk), &values(number)?.to_bytes());
        sqlx::query(
            "INSERT INTO credentials (id, connector, name, name_key, description, search_key, fingerprint, status, verified_at, created_at, version, owner, sharing)
             VALUES ($1, 'talkdesk', $2, $3, 'Nightly exports for the sales warehouse', $3, $4, 'verified', $5, $5, 1, $6, 'private')",
        )
        .bind(id)
        .bind(&name)
        .bind(name.to_lowercase())
        .bind(random::bytes::<32>().as_slice())
        .bind(now.as_millis())
        .bind(owner)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO credential_secrets (credential, version, state, created_at, key_id, wrapped_key, ciphertext)
             VALUES ($1, 1, 'active', $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(now.as_millis())
        .bind(&sealed.key_id)
        .bind(&sealed.wrapped_key)
        .bind(&sealed.ciphertext)
        .execute(&mut *transaction)
        .await?;
        if number % 3 == 0 {
            let resource = random::new_id(now);
            sqlx::query(
                "INSERT INTO resources (id, kind, name, name_key, description, connector, credential, endpoint, endpoint_version, created_at, version, form_id, owner)
                 VALUES ($1, 'source', $2, $2, '', 'talkdesk', $3, x'00', 1, $4, 1, $1, $5)",
            )
            .bind(resource)
            .bind(&name)
            .bind(id)
            .bind(now.as_millis())
            .bind(owner)
            .execute(&mut *transaction)
            .await?;
        }
    }
    transaction.commit().await?;
    sqlx::query("PRAGMA optimize").execute(&mut database).await?;
    database.close().await?;
    Ok(format!("keytile_session={}", cookie.expose_secret()))
}

fn values(number: usize) -> Outcome<FieldValues> {
    let mut values = FieldValues::default();
    let account = format!("desk-{number}");
    for (field, value) in [
        ("client_id", "5f2c9a1e4d6b47f0a1b2c3d4e5f60718"),
        ("account_name", &account),
        ("region", "us"),
        ("authorization_prefix", "Basic"),
    ] {
        values.insert(FieldId::new(field).ok_or("a field id")?, FieldValue::Plain(value.to_owned()));
    }
    let secret = FieldId::new("client_secret").ok_or("a field id")?;
    values.insert(secret, FieldValue::Secret("x7Kq2mZp9vR4tYw8uJ3nB6cF1dG5hL0s".into()));
    Ok(values)
}

/// The program, running over a folder; ended when this is dropped.
struct Running {
    child: Child,
    address: String,
    cookie: String,
    started: Instant,
}

impl Running {
    fn start(filled: &Filled) -> Outcome<Self> {
        let started = Instant::now();
        let mut command = Command::new(program());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(filled.folder.path()).env_clear();
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.split_once("http://").ok_or("no address")?.1.trim().trim_end_matches('/').to_owned();
        Ok(Self { child, address, cookie: filled.cookie.clone(), started })
    }

    /// Requests a page so many times on one connection.
    fn get(&self, path: &str, times: usize) -> Outcome<()> {
        let mut stream = TcpStream::connect(&self.address)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", self.address, self.cookie);
        let mut buffer = vec![0; 1 << 18];
        for _ in 0..times {
            stream.write_all(request.as_bytes())?;
            let mut read = 0;
            let (head, length) = loop {
                read += stream.read(&mut buffer[read..])?;
                let Some(head) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
                let length =
                    text.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?.parse::<usize>()?;
                if !text.starts_with("http/1.1 200") {
                    return Err(text.into());
                }
                break (head + 4, length);
            };
            while read < head + length {
                read += stream.read(&mut buffer[read..])?;
            }
        }
        Ok(())
    }

    /// CPU time of all its threads.
    fn cpu_time(&self) -> Outcome<Duration> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += text.split_whitespace().next().ok_or("no time")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Resident memory in MB.
    fn memory(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no memory")?;
        Ok(line.split_whitespace().nth(1).ok_or("no memory")?.parse::<f64>()? / 1e3)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_figures(filled: &Filled) -> Outcome<()> {
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..15 {
        let running = Running::start(filled)?;
        running.get(TILES, 1)?;
        starts.push(running.started.elapsed().as_secs_f64() * 1e3);
        running.get(TILES, 20)?;
        memory.push(running.memory()?);
    }
    let (middle, least, most) = median(starts);
    row("start to first answered request, 1,000 credentials", &format!("{middle:.0} ms ({least:.0} to {most:.0})"), "100 ms");
    let (middle, least, most) = median(memory);
    row("memory when idle, after 21 pages", &format!("{middle:.1} MB ({least:.1} to {most:.1})"), "30 MB");
    Ok(())
}

fn tile_figures(few: &Filled, many: &Filled) -> Outcome<()> {
    const REQUESTS: usize = 500;
    let (few, many) = (Running::start(few)?, Running::start(many)?);
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
    let (middle, least, most) = median(of_few);
    row("Authenticate page of 50 tiles, CPU time a request", &format!("{middle:.0} µs ({least:.0} to {most:.0})"), "1,000 µs");
    let (middle, least, most) = median(ratios);
    row("the same with 100,000 credentials, as a multiple", &format!("{middle:.2} ({least:.2} to {most:.2})"), "1.5");
    Ok(())
}

/// Adds up how long the stages took, which is the service's own time.
#[derive(Default)]
struct Stages(AtomicU64);

impl StageObserver for Stages {
    fn stage_ended(&self, report: &StageReport) {
        self.0.fetch_add(report.micros, Ordering::Relaxed);
    }
}

async fn save_figures() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let app = App::build(&config(folder.path(), &["--sandbox"]), Arc::new(SystemClock), Overrides::default()).await?;
    let service = app.service();
    let connector = service.catalogue().get("talkdesk").ok_or("no connector")?.clone();
    let (_, ana) = administrator(service).await?;
    let mut added = Vec::new();
    for number in 0..100 {
        let mut raw = RawForm { name: format!("Desk {number}"), ..RawForm::default() };
        for (field, value) in [("client_id", "sandbox-client"), ("client_secret", "sandbox-secret"), ("account_name", "acme")] {
            raw.fields.insert(FieldId::new(field).ok_or("a field id")?, value.into());
        }
        let stages = Arc::new(Stages::default());
        let began = Instant::now();
        let draft = random::new_id(SystemClock.now());
        let saved = service.save_credential(ana.clone(), connector.clone(), draft, raw, stages.clone()).await?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        if !matches!(saved, SaveOutcome::Saved(_)) {
            return Err("the sandbox did not accept its own values".into());
        }
        added.push(took - stages.0.load(Ordering::Relaxed) as f64 / 1e3);
    }
    let (middle, least, most) = median(added);
    row("what Keytile adds to Save, beyond the service's time", &format!("{middle:.1} ms ({least:.1} to {most:.1})"), "10 ms");
    Ok(())
}
