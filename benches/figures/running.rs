//! The released program, running next to its measurement.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Outcome, cpu_time, filled::Filled};

/// The Authenticate page.
pub(super) const TILES: &str = "/sources/new/talkdesk/authenticate";

/// The path of the program: the one that the variable names, which `scripts/bench` sets, or the one built with the
/// benchmark.
pub(super) fn program() -> PathBuf {
    env::var_os("KEYTILE_BENCH_PROGRAM").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_keytile")), PathBuf::from)
}

/// The program, running with its data in a folder; killed when this is dropped.
pub(super) struct Running {
    child: Child,
    pub(super) address: String,
    cookie: String,
    pub(super) started: Instant,
}

impl Running {
    pub(super) fn start(filled: &Filled, more: &[&str]) -> Outcome<Self> {
        let more: Vec<String> = more.iter().map(|argument| (*argument).to_owned()).collect();
        Self::start_program(&program(), filled.folder.path(), &filled.cookie, &more)
    }

    pub(super) fn start_program(program: &Path, folder: &Path, cookie: &str, more: &[String]) -> Outcome<Self> {
        let started = Instant::now();
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder).args(more).env_clear();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.split_once("http://").ok_or("no address")?.1.trim().trim_end_matches('/').to_owned();
        Ok(Self { child, address, cookie: cookie.to_owned(), started })
    }

    /// Requests a page this many times on one connection.
    pub(super) fn get(&self, path: &str, times: usize) -> Outcome<()> {
        let mut connection = self.connect()?;
        let request = self.page(path);
        for _ in 0..times {
            expect_page(connection.ask(&request)?)?;
        }
        Ok(())
    }

    /// The administrator's request of a page.
    pub(super) fn page(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", self.address, self.cookie)
    }

    pub(super) fn connect(&self) -> Outcome<Connection> {
        Ok(Connection { stream: TcpStream::connect(&self.address)?, buffer: vec![0; 1 << 18] })
    }

    /// The id of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all its threads.
    pub(super) fn cpu_time(&self) -> Outcome<Duration> {
        cpu_time(&self.child.id().to_string())
    }

    /// Resident memory, in MB.
    pub(super) fn memory(&self) -> Outcome<f64> {
        self.memory_of("VmRSS:")
    }

    /// Peak resident memory, in MB.
    pub(super) fn most_memory(&self) -> Outcome<f64> {
        self.memory_of("VmHWM:")
    }

    fn memory_of(&self, line: &str) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|other| other.starts_with(line)).ok_or("no memory")?;
        Ok(line.split_whitespace().nth(1).ok_or("no memory")?.parse::<f64>()? / 1e3)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection, on which requests are sent one after the other.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Sends a request and reads its whole response; returns the status.
    pub(super) fn ask(&mut self, request: &str) -> Outcome<u16> {
        self.stream.write_all(request.as_bytes())?;
        let mut read = 0;
        let (status, whole) = loop {
            read += self.read(read)?;
            let Some(end) = self.buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
            let status = head.split_whitespace().nth(1).ok_or("no status")?.parse()?;
            break (status, end + 4 + length.parse::<usize>()?);
        };
        while read < whole {
            read += self.read(read)?;
        }
        Ok(status)
    }

    fn read(&mut self, from: usize) -> Outcome<usize> {
        match self.stream.read(&mut self.buffer[from..])? {
            0 => Err("the connection was closed".into()),
            length => Ok(length),
        }
    }
}

/// An error for anything but a page.
pub(super) fn expect_page(status: u16) -> Outcome<()> {
    if status == 200 { Ok(()) } else { Err(format!("no page but {status}").into()) }
}
