//! The program as it is run: its folder, its signals, and what a kill leaves behind.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use keytile::crypto::hash::form_token;

use crate::support::server::{ADMINISTRATOR, OVERLAY, PASSWORD, good_values, replaced};

/// A `keytile serve` in a folder of its own; killed when the test ends.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// The path of the link that makes the first administrator, while there is none.
    setup: String,
    said: Vec<String>,
}

impl Program {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, &["serve", "--sandbox", "--listen", "127.0.0.1:0"])
    }

    pub(crate) fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_logging(folder, arguments, Stdio::null())
    }

    /// The same, with a place for its log.
    pub(crate) fn start_logging(folder: &Path, arguments: &[&str], log: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        command.args(arguments).current_dir(folder).env_clear().stderr(log);
        Self::start_command(command)
    }

    /// The same, started by a command of the test's own.
    pub(crate) fn start_command(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            said.push(line.unwrap());
            if let Some((_, address)) = said.last().unwrap().split_once("http://") {
                let (address, setup) = address.split_once('/').unwrap();
                let (address, setup) = (address.to_owned(), format!("/{setup}"));
                return Self { child, address, setup, said };
            }
        }
        panic!("no address in {said:?}; {:?}", child.wait());
    }

    /// Makes the first administrator; answers the Cookie header of the session.
    pub(crate) async fn set_up(&self) -> String {
        let page = self.ask(&format!("GET {}", self.setup), "", "").await;
        let visit = cookie_in(&page);
        let token = value_in(&page, "token");
        let typed = [("token", token.as_str()), ("email", ADMINISTRATOR), ("name", "Ana"), ("password", PASSWORD)];
        let done = self.ask("POST /setup", &visit, &encoded(&visit, &typed)).await;
        assert!(done.starts_with("HTTP/1.1 303"), "{done}");
        cookie_in(&done)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends a request on a connection of its own, and returns the connection.
    async fn send(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: {}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn ask(&self, head: &str, cookie: &str, body: &str) -> String {
        let mut stream = self.send(head, body).await;
        stream.write_all(format!("{cookie}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A form as a page of this cookie's session sends it.
pub(crate) fn encoded(cookie: &str, form: &[(&str, &str)]) -> String {
    let value = cookie.trim().split_once("keytile_session=").expect(cookie).1;
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form).append_pair("form_token", &form_token(value)).finish()
}

pub(crate) fn draft_in(page: &str) -> String {
    value_in(page, "draft")
}

fn value_in(page: &str, name: &str) -> String {
    let tag = &page[page.find(&format!("name=\"{name}\"")).expect(page)..];
    tag.split_once("value=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

fn cookie_in(answer: &str) -> String {
    let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")).expect(answer);
    format!("Cookie: {}\r\n", line.split_once(':').unwrap().1.split(';').next().unwrap().trim())
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_first_start_makes_a_private_folder_and_the_second_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("keytile-data");
    let program = Program::start(folder.path());
    assert!(program.said.iter().any(|line| line.contains("Created a keyring")), "{:?}", program.said);
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("keyring")), 0o600);
    assert_eq!(mode(&data.join("keytile.db")), 0o600);
    assert!(program.ask("GET /", "", "").await.starts_with("HTTP/1.1 303"), "nobody is signed in");
    let cookie = program.set_up().await;
    assert!(program.ask("GET /", &cookie, "").await.starts_with("HTTP/1.1 200"));
    let healthy = Command::new(env!("CARGO_BIN_EXE_keytile")).args(["health", "--listen", &program.address]).status().unwrap();
    assert!(healthy.success());
    let address = program.address.clone();
    drop(program);
    let healthy =
        Command::new(env!("CARGO_BIN_EXE_keytile")).args(["health", "--listen", &address]).stderr(Stdio::null()).status().unwrap();
    assert!(!healthy.success());
    let again = Program::start(folder.path());
    assert!(!again.said.iter().any(|line| line.contains("keyring")), "{:?}", again.said);
}

#[tokio::test]
async fn a_keyring_that_is_gone_wrong_or_open_to_others_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Program::start(folder.path()));
    let keyring = folder.path().join("keytile-data/keyring");
    let kept = folder.path().join("kept");
    let refused = |reason: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        let output = command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(folder.path()).env_clear().output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains("--keyring") && message.contains(reason), "{message}");
    };
    std::fs::rename(&keyring, &kept).unwrap();
    refused("missing");
    assert!(!keyring.exists(), "no new keyring is made beside sealed rows");
    std::fs::copy(&kept, &keyring).unwrap();
    std::fs::set_permissions(&keyring, PermissionsExt::from_mode(0o644)).unwrap();
    refused("chmod 600");
    std::fs::remove_file(&keyring).unwrap();
    keytile::crypto::keyring::Keyring::create(&keyring).unwrap();
    refused("does not match the database");
    std::fs::remove_file(&keyring).unwrap();
    std::fs::rename(&kept, &keyring).unwrap();
    drop(Program::start(folder.path()));
}

#[tokio::test]
async fn whoever_asked_before_the_signal_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let mut program = Program::start(folder.path());
        let mut asked = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(&program.address).await.unwrap();
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", program.address);
            stream.write_all(request.as_bytes()).await.unwrap();
            asked.push(stream);
        }
        program.signal("TERM");
        for mut stream in asked {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!(program.child.wait().unwrap().code(), Some(0));
    }
}

/// A standard output that takes nothing until the other end, the second one, is read: the program waits where it says
/// its first line.
pub(crate) fn full_output() -> (Stdio, UnixStream) {
    let (mut output, reader) = UnixStream::pair().unwrap();
    output.set_nonblocking(true).unwrap();
    while output.write(b"\n").is_ok() {}
    output.set_nonblocking(false).unwrap();
    (OwnedFd::from(output).into(), reader)
}

#[test]
fn a_signal_that_comes_before_it_is_ready_stops_it_as_well() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let (output, mut reader) = full_output();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(folder.path()).env_clear();
        let child = command.stdout(output).stderr(Stdio::null()).spawn().unwrap();
        // The command has its copy of the output too, and would keep it open.
        drop(command);
        let mut program = Program { child, address: String::new(), setup: String::new(), said: Vec::new() };
        while !folder.path().join("keytile-data/keyring").exists() {
            std::thread::yield_now();
        }
        program.signal(signal);
        reader.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(program.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn sigterm_finishes_requests_in_flight_and_exits_0() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::start(folder.path());
        let cookie = program.set_up().await;
        let draft = draft_in(&program.ask(&format!("GET {OVERLAY}"), &cookie, "").await);
        let body = encoded(&cookie, &good_values("In flight", &draft));
        // Half a request is in flight when the signal comes.
        let mut stream = program.send(&format!("POST {OVERLAY}"), &body).await;
        stream.write_all(format!("{cookie}\r\n{}", &body[..10]).as_bytes()).await.unwrap();
        program.ask("GET /healthz", "", "").await;
        program.signal(signal);
        while TcpStream::connect(&program.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        stream.write_all(&body.as_bytes()[10..]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        assert_eq!(program.child.wait().unwrap().code(), Some(0));
        let again = Program::start(folder.path());
        assert!(again.ask("GET /credentials", &cookie, "").await.contains("In flight"));
    }
}

#[tokio::test]
async fn a_kill_loses_neither_what_was_saved_nor_what_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let cookie = program.set_up().await;
    let draft = draft_in(&program.ask(&format!("GET {OVERLAY}"), &cookie, "").await);
    let saved = program.ask(&format!("POST {OVERLAY}"), &cookie, &encoded(&cookie, &good_values("Saved before", &draft))).await;
    assert!(saved.starts_with("HTTP/1.1 303"), "{saved}");
    let page = program.ask(&format!("GET {OVERLAY}"), &cookie, "").await;
    let body = encoded(&cookie, &replaced(good_values("Typed before", &draft_in(&page)), &[("account_name", "slow")]));
    // Killed in the middle of a verification, as soon as its first stage has been told of.
    let mut stream = program.send(&format!("POST {OVERLAY}"), &body).await;
    stream.write_all(format!("Accept: application/x-ndjson\r\n{cookie}\r\n{body}").as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut buffer = [0; 1_024];
    let listening = async {
        while !heard.contains("\"stage\"") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), listening).await.unwrap();
    program.signal("KILL");
    drop(program);
    let again = Program::start(folder.path());
    assert!(again.ask("GET /credentials", &cookie, "").await.contains("Saved before"));
    let page = again.ask(&format!("GET {OVERLAY}"), &cookie, "").await;
    assert!(page.contains("Typed before") && page.contains("Kept from your last try"), "{page}");
}

#[test]
fn init_makes_a_keyring_once() {
    let folder = tempfile::tempdir().unwrap();
    let init = || Command::new(env!("CARGO_BIN_EXE_keytile")).arg("init").current_dir(folder.path()).env_clear().output().unwrap();
    assert!(init().status.success());
    let keyring = std::fs::read(folder.path().join("keytile-data/keyring")).unwrap();
    let again = init();
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("already exists"));
    assert_eq!(std::fs::read(folder.path().join("keytile-data/keyring")).unwrap(), keyring);
}

#[tokio::test]
async fn the_sandbox_alone_says_how_a_keytile_reaches_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.args(["sandbox", "--listen", "127.0.0.1:0"]).current_dir(folder.path()).env_clear();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut sandbox = Program { child, address: String::new(), setup: String::new(), said: Vec::new() };
    let told = lines.find(|line| line.starts_with("keytile serve")).expect("the command to start Keytile with");
    let arguments: Vec<&str> = told.split_whitespace().skip(2).map(|argument| argument.trim_matches('\'')).collect();
    let program = Program::start_with(folder.path(), &[&["serve", "--listen", "127.0.0.1:0"], &arguments[..]].concat());
    let cookie = program.set_up().await;
    let draft = draft_in(&program.ask(&format!("GET {OVERLAY}"), &cookie, "").await);
    let saved = program.ask(&format!("POST {OVERLAY}"), &cookie, &encoded(&cookie, &good_values("Apart", &draft))).await;
    assert!(saved.starts_with("HTTP/1.1 303"), "{saved}");
    sandbox.signal("TERM");
    assert_eq!(sandbox.child.wait().unwrap().code(), Some(0));
}
