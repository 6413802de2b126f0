//! The chromedriver that all tests of this binary share.
//!
//! A shell watches over it and holds the other end of a pipe to this process. However the tests end, the pipe
//! closes, and the shell kills the driver with all its browsers and removes their files.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

/// With `set -m`, the driver leads a process group of its own, which its browsers stay in.
const WATCH: &str = r#"
    set -m
    chromedriver --port=0 </dev/null &
    read -r _
    kill -KILL -- "-$!"
    wait
    rm -rf -- "$TMPDIR"
"#;
const START_LIMIT: Duration = Duration::from_secs(30);

static DRIVER: LazyLock<Driver> = LazyLock::new(start);

/// A running chromedriver.
pub(crate) struct Driver {
    /// The port that it listens on, on the loopback address.
    pub(crate) port: u16,
    /// Where browsers may write. Removed when the tests end.
    pub(crate) folder: PathBuf,
    /// Its standard input is never written to; closing it is the signal to end.
    _watch: Child,
}

impl Driver {
    /// The driver of this test binary, started by the first caller.
    pub(crate) fn shared() -> &'static Self {
        &DRIVER
    }
}

fn start() -> Driver {
    for program in ["chromedriver", "chromium"] {
        let runs = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(runs.is_ok_and(|status| status.success()), "{program} does not start: run scripts/test, which installs it");
    }
    let folder = tempfile::Builder::new().prefix("keytile-browser-").tempdir().unwrap().keep();
    let mut watch = Command::new("bash")
        .args(["-c", WATCH])
        .env("TMPDIR", &folder)
        // Away from the terminal's group, so that Ctrl-C leaves the shell alive to clean up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let (found, port) = mpsc::channel();
    // Ends with the driver. It reads on, so that the driver never waits for a full pipe.
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(port) = line.strip_prefix("ChromeDriver was started successfully on port ") {
                // The receiver has been dropped if the start was given up.
                let _ = found.send(port.trim_end_matches('.').parse().unwrap());
            }
        }
    });
    let port = port.recv_timeout(START_LIMIT).expect("chromedriver says on which port it listens");
    Driver { port, folder, _watch: watch }
}
