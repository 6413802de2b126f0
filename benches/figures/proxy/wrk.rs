//! wrk, which sends requests as fast as it gets responses.

use std::{io::ErrorKind, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use super::super::Outcome;

/// The clients of a load.
#[derive(Clone)]
pub(super) struct Crowd {
    /// Threads of wrk. Each keeps a core busy.
    pub(super) threads: usize,
    /// Of all threads together.
    pub(super) connections: usize,
    /// A script for what else is sent.
    pub(super) script: Option<PathBuf>,
}

/// What wrk requests.
pub(super) struct Load {
    crowd: Crowd,
    address: SocketAddr,
    path: String,
    authorization: String,
}

/// The result of a run.
pub(super) struct Answered {
    pub(super) requests: f64,
    pub(super) each_second: f64,
}

impl Crowd {
    /// This many, which send nothing but the request.
    pub(super) fn of(threads: usize, connections: usize) -> Self {
        Self { threads, connections, script: None }
    }

    /// What they request.
    pub(super) fn asking(&self, address: SocketAddr, path: &str, authorization: &str) -> Load {
        Load { crowd: self.clone(), address, path: path.to_owned(), authorization: authorization.to_owned() }
    }
}

impl Load {
    /// Runs for a while. An unexpected response is an error.
    pub(super) fn run(&self, time: Duration) -> Outcome<Answered> {
        let Self { crowd: Crowd { threads, connections, script }, address, path, authorization } = self;
        let mut command = Command::new("wrk");
        command.args([
            &format!("-t{threads}"),
            &format!("-c{connections}"),
            &format!("-d{}s", time.as_secs().max(1)),
            "--timeout",
            "30s",
        ]);
        command.args(["-H", &format!("Authorization: {authorization}")]);
        if let Some(script) = script {
            command.arg("-s").arg(script);
        }
        let output = command.arg(format!("http://{address}{path}")).output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => "wrk is missing; scripts/bench installs it".to_owned(),
            _ => format!("cannot start wrk: {error}"),
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(format!("unexpected responses from http://{address}{path}:\n{text}").into());
        }
        let number = |line: &str, word: usize| line.split_whitespace().nth(word)?.parse::<f64>().ok();
        let requests = text.lines().find(|line| line.contains(" requests in ")).and_then(|line| number(line, 0));
        let each_second = text.lines().find(|line| line.starts_with("Requests/sec:")).and_then(|line| number(line, 1));
        let requests = requests.filter(|requests| *requests > 0.0).ok_or_else(|| format!("wrk counted no requests:\n{text}"))?;
        Ok(Answered { requests, each_second: each_second.ok_or("wrk did not report its speed")? })
    }
}
