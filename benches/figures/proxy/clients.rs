//! Clients that wrk can't play: idle ones, slow ones, ones with huge responses, and ones with a steady rate.

use std::{
    fs::File,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    super::{Outcome, row, running::Running, spread},
    Pace,
    scene::Scene,
    services::RIGHT,
    wrk::Crowd,
};

const IDLE: usize = 10_000;
const SLOW: usize = 1_000;
/// How long slow readers read before memory is measured.
const SLOWLY: Duration = Duration::from_secs(10);
/// Connections with a steady rate.
const STEADY: usize = 32;

type Sent<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Memory: with large transfers, with many slow readers, and with many idle clients.
pub(super) async fn memory(scene: &Scene, pace: Pace) -> Outcome<()> {
    much(scene, pace).await?;
    slow(scene).await?;
    idle(scene).await
}

async fn much(scene: &Scene, pace: Pace) -> Outcome<()> {
    // A sparse file, which takes no space on the disk.
    File::create(scene.folder.path().join("service/files/huge"))?.set_len(pace.much)?;
    let running = scene.keytile.fresh()?;
    let (address, filled) = (running.address.parse()?, &scene.keytile.filled);
    let head = |method: &str, resource, path: &str, more: &str| {
        format!(
            "{method} {} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {}\r\n{more}\r\n",
            scene.keytile.path(resource, path),
            filled.key
        )
    };
    for path in ["/large", "/large"] {
        Client::connect(address).await.map_err(plain)?.ask(&head("GET", filled.clear, path, "")).await.map_err(plain)?;
    }
    let before = running.most_memory()?;
    let got = Client::connect(address).await.map_err(plain)?.ask(&head("GET", filled.clear, "/huge", "")).await.map_err(plain)?;
    if got != pace.much {
        return Err("the response was incomplete".into());
    }
    let down = running.most_memory()?;
    let mut client = Client::connect(address).await.map_err(plain)?;
    client
        .stream
        .write_all(head("POST", filled.upload, "/upload", &format!("Content-Length: {}\r\n", pace.much)).as_bytes())
        .await?;
    let piece = vec![b'u'; 1 << 16];
    for _ in 0..pace.much >> 16 {
        client.stream.write_all(&piece).await?;
    }
    client.answer().await.map_err(plain)?;
    let (up, gib) = (running.most_memory()?, pace.much >> 30);
    row("peak memory after two bodies of 10 MiB", &format!("{before:.1} MB"), "");
    row(&format!("the same after {gib} GiB down"), &format!("{down:.1} MB"), "doesn't grow");
    row(&format!("the same after {gib} GiB up"), &format!("{up:.1} MB"), "doesn't grow");
    Ok(())
}

async fn slow(scene: &Scene) -> Outcome<()> {
    let running = scene.keytile.fresh()?;
    let request = get(scene, &running, "/large");
    warm_up(&running, &request).await?;
    let before = running.memory()?;
    let address: SocketAddr = running.address.parse()?;
    let mut readers = JoinSet::new();
    for _ in 0..SLOW {
        let request = request.clone();
        readers.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut ticks = interval(Duration::from_millis(100));
            let mut piece = [0; 1024];
            loop {
                ticks.tick().await;
                stream.read_exact(&mut piece).await?;
            }
            #[expect(unreachable_code, reason = "it says what the errors are")]
            Sent::Ok(())
        });
    }
    let mut most = 0.0_f64;
    let begun = Instant::now();
    while begun.elapsed() < SLOWLY {
        sleep(Duration::from_millis(250)).await;
        most = most.max(running.memory()?);
        if let Some(ended) = readers.try_join_next() {
            return Err(format!("a slow reader was cut off: {:?}", ended.map_err(|error| error.to_string())).into());
        }
    }
    let each = (most - before) * 1e3 / SLOW as f64;
    row(&format!("memory per slow reader of 10 MiB, with {SLOW} of them"), &format!("{each:.0} KB"), "150 KB");
    Ok(())
}

async fn idle(scene: &Scene) -> Outcome<()> {
    let running = scene.keytile.fresh()?;
    let request = get(scene, &running, "/small");
    let address = running.address.parse()?;
    let mut clients = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut client = Client::connect(address).await.map_err(plain)?;
        client.ask(&request).await.map_err(plain)?;
        clients.push(client);
    }
    sleep(Duration::from_secs(3)).await;
    let memory = running.memory()?;
    // They are still served.
    for client in clients.iter_mut().step_by(100) {
        client.ask(&request).await.map_err(plain)?;
    }
    row(&format!("memory with {IDLE} idle keep-alive clients"), &format!("{memory:.1} MB"), "150 MB");
    Ok(())
}

/// The latency that the proxy adds at a tenth of its capacity.
pub(super) async fn latency(scene: &Scene, pace: Pace) -> Outcome<()> {
    let (keytile, running) = (&scene.keytile, &scene.keytile.running);
    let (path, address) = (keytile.path(keytile.filled.clear, "/small"), keytile.address()?);
    let authorization = keytile.filled.key.clone();
    let load = Crowd::of(2, STEADY).asking(address, &path, &authorization);
    load.run(Duration::from_secs(1))?;
    let most = load.run(pace.each)?.each_second;
    let request = get(scene, running, "/small");
    let of_service = format!("GET /small HTTP/1.1\r\nHost: {address}\r\nAuthorization: {RIGHT}\r\n\r\n");
    let (mut direct, mut through, mut added, mut of_nginx) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pace.rounds {
        let one = steadily(scene.service.clear, &of_service, most / 10.0, pace.each).await?;
        let other = steadily(address, &request, most / 10.0, pace.each).await?;
        of_nginx.push((steadily(scene.peer.clear, &of_service, most / 10.0, pace.each).await? - one) * 1e3);
        direct.push(one * 1e3);
        through.push(other * 1e3);
        added.push((other - one) * 1e3);
    }
    let rate = format!("{:.0} requests per second", most / 10.0);
    spread(&format!("p99 at {rate}: direct"), &mut direct, 2, " ms", "");
    spread(&format!("p99 at {rate}: Keytile"), &mut through, 2, " ms", "");
    spread("the p99 that nginx adds, for comparison", &mut of_nginx, 2, " ms", "");
    spread("**p99 added at a tenth of full load**", &mut added, 2, " ms", "1 ms");
    Ok(())
}

/// Requests at a steady rate; returns the 99th percentile in seconds.
async fn steadily(address: SocketAddr, request: &str, rate: f64, time: Duration) -> Outcome<f64> {
    let pause = Duration::from_secs_f64(STEADY as f64 / rate);
    let start = Arc::new(Barrier::new(STEADY));
    let mut clients = JoinSet::new();
    for number in 0..STEADY {
        let (request, start) = (request.to_owned(), Arc::clone(&start));
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            client.ask(&request).await?;
            start.wait().await;
            sleep(pause.mul_f64(number as f64 / STEADY as f64)).await;
            let mut ticks = interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let (begun, mut times) = (Instant::now(), Vec::new());
            while begun.elapsed() < time {
                ticks.tick().await;
                let asked = Instant::now();
                client.ask(&request).await?;
                times.push(asked.elapsed().as_secs_f64());
            }
            Sent::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = clients.join_next().await {
        times.extend(ended?.map_err(plain)?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() * 99 / 100])
}

fn get(scene: &Scene, running: &Running, path: &str) -> String {
    let filled = &scene.keytile.filled;
    let path = scene.keytile.path(filled.clear, path);
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n", running.address, filled.key)
}

async fn warm_up(running: &Running, request: &str) -> Outcome<()> {
    for _ in 0..20 {
        Client::connect(running.address.parse()?).await.map_err(plain)?.ask(request).await.map_err(plain)?;
    }
    Ok(())
}

fn plain(error: Box<dyn std::error::Error + Send + Sync>) -> Box<dyn std::error::Error> {
    error
}

/// One connection. Response bodies are discarded.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Sent<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    async fn ask(&mut self, request: &str) -> Sent<u64> {
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    /// Reads a response to its end; returns the length of its body.
    async fn answer(&mut self) -> Sent<u64> {
        // An idle client keeps no buffer, because there may be many.
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(1 << 16, 0);
        let mut read = 0;
        let (length, mut got) = loop {
            read += self.read(&mut buffer[read..]).await?;
            let Some(end) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") {
                return Err(head.into());
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
            break (length.parse::<u64>()?, (read - end - 4) as u64);
        };
        while got < length {
            got += self.read(&mut buffer).await? as u64;
        }
        Ok(length)
    }

    async fn read(&mut self, room: &mut [u8]) -> Sent<usize> {
        match self.stream.read(room).await? {
            0 => Err("the connection was closed".into()),
            length => Ok(length),
        }
    }
}
