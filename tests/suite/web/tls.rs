//! Keytile's own TLS, and how its certificate is replaced.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::{
    process::full_output,
    support::{
        https,
        raw::Raw,
        server::{Server, Setup},
        tls::Authority,
    },
};

const NAME: &str = "127.0.0.1";

/// The files of a certificate and its key.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn in_folder(folder: &Path) -> Self {
        Self { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
    }

    fn write(&self, authority: &Authority) {
        let (certificate, key) = authority.pair(&[NAME]);
        fs::write(&self.certificate, certificate).unwrap();
        fs::write(&self.key, key).unwrap();
    }

    fn arguments(&self) -> [String; 2] {
        [format!("--tls-cert={}", self.certificate.display()), format!("--tls-key={}", self.key.display())]
    }
}

/// A setup with a certificate of this authority, whose files are looked at all the time.
fn setup(authority: &Authority) -> (Setup, Pair) {
    let setup = Setup::new();
    let pair = Pair::in_folder(setup.folder.path());
    pair.write(authority);
    let [certificate, key] = pair.arguments();
    let mut setup = setup.with(certificate).with(key);
    setup.overrides.serving.certificate_interval = Duration::from_millis(20);
    (setup, pair)
}

fn client(authority: &Authority, server: &Server) -> reqwest::Client {
    https::client(authority.certificate(), server.listening, &[])
}

#[tokio::test]
async fn pages_come_over_tls_and_nothing_else() {
    let authority = Authority::new();
    let (setup, _) = setup(&authority);
    let server = setup.start_without_accounts().await;
    assert_eq!(server.address.scheme(), "https");
    let link = server.setup.clone().unwrap();
    assert_eq!(link.scheme(), "https");
    let page = client(&authority, &server).get(link).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["strict-transport-security"], "max-age=31536000");
    let cookie = page.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
    // Who speaks HTTP here hears no HTTP, and who trusts another authority does not come in.
    let plain = Raw::with(server.listening, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.rest().await;
    assert!(!plain.contains("HTTP"), "{plain}");
    assert!(client(&Authority::new(), &server).get(server.address.clone()).send().await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let (mut setup, _) = setup(&Authority::new());
    setup.overrides.serving.head = Duration::from_millis(400);
    let server = setup.start_without_accounts().await;
    for beginning in ["", "\u{16}\u{3}\u{1}", "\u{16}\u{3}\u{1}\0\u{7f}\u{1}"] {
        assert_eq!(Raw::with(server.listening, beginning).await.rest().await, "");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_used_and_open_connections_go_on() {
    let (old, new) = (Authority::named("old"), Authority::named("new"));
    let (setup, pair) = setup(&old);
    let server = setup.start_without_accounts().await;
    let url = server.address.join("/healthz").unwrap();
    let connected = client(&old, &server);
    let alive = async |url: url::Url| connected.get(url).send().await.unwrap().text().await.unwrap().starts_with("ok\n");
    assert!(alive(url.clone()).await);
    pair.write(&new);
    let deadline = Instant::now() + Duration::from_secs(20);
    while client(&new, &server).get(url.clone()).send().await.is_err() {
        assert!(Instant::now() < deadline, "the new certificate is not used");
    }
    assert!(client(&old, &server).get(url.clone()).send().await.is_err(), "the old one is not used any more");
    // The connection that was made with the old one, which a new handshake would refuse.
    assert!(alive(url).await);
    server.stop().await;
}

/// `keytile serve` with TLS, and the lines of its log.
struct Program {
    child: Child,
    address: String,
    log: mpsc::Receiver<String>,
}

impl Program {
    fn start(folder: &Path, pair: &Pair) -> Self {
        let mut program = Self::begin(folder, pair, Stdio::piped());
        let output = program.child.stdout.take().unwrap();
        program.hear_address(output);
        program
    }

    /// Starts it, with this output, and does not wait for it.
    fn begin(folder: &Path, pair: &Pair, output: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(pair.arguments()).current_dir(folder).env_clear();
        let mut child = command.stdout(output).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Self { child, address: String::new(), log }
    }

    fn hear_address(&mut self, output: impl Read) {
        let said = BufReader::new(output).lines().map(Result::unwrap);
        let address = said.into_iter().find_map(|line| Some(line.split_once("https://")?.1.split('/').next()?.to_owned()));
        self.address = address.expect("an address with https");
    }

    fn hang_up(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends SIGHUP and waits for the log to say this.
    fn reload(&self, says: &str) {
        self.hang_up();
        self.hear(says);
    }

    /// Waits for the log to say this.
    fn hear(&self, says: &str) {
        loop {
            let line = self.log.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("nothing says {says:?}"));
            assert!(!line.contains("PRIVATE"), "{line}");
            if line.contains(says) {
                break;
            }
        }
    }

    async fn answers(&self, authority: &Authority) -> bool {
        let address = self.address.parse().unwrap();
        let client = https::client(authority.certificate(), address, &[]);
        client.get(format!("https://{address}/healthz")).send().await.is_ok_and(|answer| answer.status() == 200)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_signal_reads_the_pair_again_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::named("old"), Authority::named("new"));
    let pair = Pair::in_folder(folder.path());
    pair.write(&old);
    let program = Program::start(folder.path(), &pair);
    assert!(program.answers(&old).await);
    // The key of another certificate; then no certificate; then none at all.
    fs::write(&pair.key, new.pair(&[NAME]).1).unwrap();
    program.reload("does not belong");
    assert!(program.answers(&old).await);
    fs::write(&pair.certificate, "nothing").unwrap();
    program.reload("BEGIN CERTIFICATE");
    fs::remove_file(&pair.certificate).unwrap();
    program.reload("cannot be read");
    assert!(program.answers(&old).await);
    pair.write(&new);
    program.reload("reloaded the TLS certificate for new connections");
    assert!(program.answers(&new).await && !program.answers(&old).await);
    // Nothing has changed: only a signal makes it read the pair now.
    program.reload("reloaded the TLS certificate for new connections");
}

#[tokio::test]
async fn a_signal_that_comes_before_it_is_ready_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let pair = Pair::in_folder(folder.path());
    pair.write(&authority);
    fs::set_permissions(&pair.key, PermissionsExt::from_mode(0o644)).unwrap();
    let (output, reader) = full_output();
    let mut program = Program::begin(folder.path(), &pair, output);
    // That is said while it starts, and it says no more until its output is read.
    program.hear("every user of this machine can read");
    program.hang_up();
    program.hear_address(reader);
    program.hear("reloaded the TLS certificate for new connections");
    assert!(program.answers(&authority).await);
}

#[tokio::test]
async fn its_health_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(folder.path());
    pair.write(&Authority::new());
    let program = Program::start(folder.path(), &pair);
    let health = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        command.arg("health").env_clear().envs(variables.iter().copied()).stderr(Stdio::null());
        command.status().unwrap().success()
    };
    let listen = ("KEYTILE_LISTEN", &*program.address);
    // The very variables with which the server is started in a container.
    assert!(health(&[listen, ("KEYTILE_TLS_CERT", "certificate.pem")]));
    assert!(!health(&[listen]), "without TLS nobody answers");
    let everywhere = program.address.replace("127.0.0.1", "0.0.0.0");
    assert!(health(&[("KEYTILE_LISTEN", &everywhere), ("KEYTILE_TLS_CERT", "certificate.pem")]));
}
