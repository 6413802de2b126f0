//! A pipeline in Python, with nothing but `requests` and one API key, goes on while what is behind it fails.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    process::Program,
    support::{https::plain_client, server::ADMINISTRATOR},
};

/// What stands between Keytile and the token endpoint, and can be taken away.
struct Bridge {
    port: u16,
    to: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Bridge {
    async fn to(to: &str) -> Self {
        Self::on(0, to).await
    }

    async fn on(port: u16, to: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), to.to_owned());
        let target = to.clone();
        let serving = tokio::spawn(async move {
            // They end with the bridge.
            let mut crossing = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let target = target.clone();
                crossing.spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { port, to, serving }
    }

    /// Takes it away, with all connections.
    async fn fall(self) -> (u16, String) {
        self.serving.abort();
        let _ = self.serving.await;
        (self.port, self.to)
    }
}

/// A program whose standard output is read line by line.
struct Script {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = Arc::new(Mutex::new(Vec::new()));
        let (stderr, told) = (child.stderr.take().unwrap(), Arc::clone(&errors));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                told.lock().unwrap().push(line);
            }
        });
        Self { child, lines, errors }
    }

    /// Holds it after the line that begins so.
    fn hold_after(&mut self, beginning: &str) {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("it ended: {:?}", self.errors())).unwrap();
            if line.starts_with(beginning) {
                return self.signal("STOP");
            }
        }
    }

    fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap().success());
    }

    fn errors(&self) -> Vec<String> {
        self.errors.lock().unwrap().clone()
    }

    /// Waits until it says that it waits, for another time.
    async fn waits_after(&self, before: usize) {
        crate::web::sessions::until(async || self.errors().len() > before).await;
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keytile")).args(arguments).current_dir(folder).env_clear().output().unwrap()
}

fn add_key(folder: &Path, scopes: &[&str]) -> String {
    let mut arguments = vec!["apikey", "add", "--name", "Pipeline", "--owner", ADMINISTRATOR];
    arguments.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
    let made = run(folder, &arguments);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

async fn call(
    program: &Program,
    method: reqwest::Method,
    path: &str,
    key: &str,
    body: &Value,
    etag: Option<&str>,
) -> (Value, String) {
    let url = format!("http://{}/api/v1{path}", program.address);
    let mut request = plain_client().request(method, url).header(AUTHORIZATION, format!("Bearer {key}"));
    request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
    if let Some(etag) = etag {
        request = request.header("If-Match", etag);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status} {text}");
    let etag = headers.get("etag").map(|etag| etag.to_str().unwrap().to_owned()).unwrap_or_default();
    (serde_json::from_str(&text).unwrap(), etag)
}

/// A Python that has the package requests.
fn python() -> &'static str {
    let has_requests =
        |python: &&str| Command::new(python).args(["-c", "import requests"]).output().is_ok_and(|done| done.status.success());
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(has_requests)
        .expect("a Python with the package requests; scripts/test installs it")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_loses_nothing_while_the_token_server_dies_keytile_restarts_and_the_secret_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.args(["sandbox", "--listen", "127.0.0.1:0"]).current_dir(folder.path()).env_clear();
    let mut sandbox = Script::start(command);
    let first = sandbox.lines.next().unwrap().unwrap();
    let service = first.split(" is listening on ").nth(1).unwrap().split(". ").next().unwrap().to_owned();
    let bridge = Bridge::to(&service).await;
    let pins = [
        format!("--egress-pin=acme.talkdeskid.com=127.0.0.1:{}", bridge.port),
        format!("--egress-pin=api.talkdeskapp.com={service}"),
    ];
    let serve = |listen: &str| {
        let arguments = ["serve", "--extra-ca", "keytile-sandbox-ca.pem", "--listen", listen, &pins[0], &pins[1]];
        Program::start_with(folder.path(), &arguments)
    };
    let mut keytile = serve("127.0.0.1:0");
    let address = keytile.address.clone();
    keytile.set_up().await;
    let manager = add_key(folder.path(), &["admin"]);
    let key = add_key(folder.path(), &["proxy"]);
    let fields = json!({"client_id": "sandbox-client", "client_secret": "sandbox-secret", "account_name": "acme"});
    let new = json!({"connector": "talkdesk", "name": "Support", "fields": fields});
    let (credential, etag) = call(&keytile, reqwest::Method::POST, "/credentials", &manager, &new, None).await;
    let mut ids = Vec::new();
    for (kind, name, offer) in [("source", "Agents", "Users"), ("destination", "Contacts", "Create a contact")] {
        let new = json!({"kind": kind, "name": name, "credential": credential["id"], "endpoint": {"offer": offer}});
        let (resource, _) = call(&keytile, reqwest::Method::POST, "/resources", &manager, &new, None).await;
        ids.push(resource["id"].as_str().unwrap().to_owned());
    }

    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/pipeline.py"));
    command.env("KEYTILE", format!("http://{address}")).env("KEYTILE_KEY", &key);
    command.env("SOURCE", &ids[0]).env("DESTINATION", &ids[1]);
    let mut script = Script::start(command);

    // The token server dies: the token that is at hand goes on being used.
    script.hold_after("page 2:");
    let (port, service) = bridge.fall().await;
    script.go_on();
    script.hold_after("page 6:");
    assert_eq!(script.errors(), [""; 0], "it waited for nothing");

    // Keytile is killed and started again, while there is no token server: the stored token is used.
    keytile.signal("KILL");
    keytile.child.wait().unwrap();
    let before = script.errors().len();
    script.go_on();
    script.waits_after(before).await;
    keytile = serve(&address);
    script.hold_after("page 12:");

    // The secret is rotated.
    let _bridge = Bridge::on(port, &service).await;
    let path = format!("/credentials/{}", credential["id"].as_str().unwrap());
    let rotated = json!({"fields": {"client_secret": "sandbox-secret-2"}});
    let (changed, _) = call(&keytile, reqwest::Method::PATCH, &path, &manager, &rotated, Some(&etag)).await;
    assert_eq!(changed["id"], credential["id"]);
    let before = script.errors().len();
    script.go_on();
    script.hold_after("page 16:");
    assert_eq!(script.errors().len(), before, "it waited for nothing: {:?}", script.errors());

    // Keytile is stopped and started again, as for a new version.
    keytile.signal("TERM");
    assert!(keytile.child.wait().unwrap().success());
    script.go_on();
    script.waits_after(before).await;
    let _keytile = serve(&address);
    let rest: Vec<String> = script.lines.by_ref().map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line == "page 24: 120 users"), "all of them: {rest:?}, {:?}", script.errors());
    assert!(rest.last().unwrap().starts_with("created contact "), "{rest:?}");
    assert!(script.child.wait().unwrap().success());
}
