//! A credential whose every value is a canary is saved, used, rejected and shown. Afterwards the canaries are
//! looked for, in every encoding one could think of, in the database files, the log at its finest level, and
//! every answer.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine, alphabet, engine::GeneralPurpose, engine::general_purpose::NO_PAD};
use keytile::crypto::hash::form_token;
use reqwest::{Client, header};
use url::Url;

use crate::support::{
    fault_server::{FaultServer, Reply},
    https::{pem, plain_client},
    tls::Authority,
};

const HOST: &str = "id.canary-host.example";
const CLIENT_ID: &str = "canary+client/id&1";
const SECRET: &str = "canary secret+/&=%:é<>\"'";
const SCOPE: &str = "canary:scope";
const TOKEN: &str = "canary.access.token.7f3a";
const BODY: &str = "canary-record-body";
const PASSWORD: &str = "canary kiln glaze 77 Tuesday";

/// Every way in which the text could lie about.
fn encodings(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let hex = |upper: bool| bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect::<String>();
    let percent = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let form: String = form_urlencoded::byte_serialize(bytes).collect();
    let json = serde_json::to_string(text).unwrap();
    let html = text.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;").replace('"', "&#34;").replace('\'', "&#39;");
    let mut found = vec![
        bytes.to_vec(),
        hex(false).into_bytes(),
        hex(true).into_bytes(),
        percent.to_lowercase().into_bytes(),
        percent.into_bytes(),
    ];
    found.extend([form.into_bytes(), json.trim_matches('"').as_bytes().to_vec(), html.into_bytes()]);
    // In base64 a text looks different at each of three offsets; what is the same at its borders is cut off.
    for alphabet in [alphabet::STANDARD, alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(&alphabet, NO_PAD);
        for offset in 0..3 {
            let padded = [&vec![0; offset], bytes].concat();
            let encoded = engine.encode(&padded);
            let inner = &encoded[(offset * 8).div_ceil(6)..encoded.len() - 2];
            found.push(inner.as_bytes().to_vec());
        }
    }
    found
}

#[track_caller]
pub(super) fn find_none(place: &str, haystack: &[u8], canaries: &[&str]) {
    for canary in canaries {
        for needle in encodings(canary) {
            let found = haystack.windows(needle.len()).position(|window| window == needle);
            if let Some(at) = found {
                let around = &haystack[at.saturating_sub(200)..(at + 200).min(haystack.len())];
                panic!("{canary:?} is in {place}: {}", String::from_utf8_lossy(around));
            }
        }
    }
}

#[test]
fn the_search_finds_what_it_should() {
    let engine = GeneralPurpose::new(&alphabet::STANDARD, NO_PAD);
    for prefix in ["", "a", "ab", "abc:"] {
        let encoded = engine.encode(format!("{prefix}{SECRET}-and-more"));
        let found = std::panic::catch_unwind(|| find_none("a test", encoded.as_bytes(), &[SECRET]));
        assert!(found.is_err(), "{prefix:?}");
    }
}

/// The program over a folder, with its log kept.
struct Program {
    child: std::process::Child,
    address: Url,
    /// The link that makes the first administrator.
    setup: Url,
    log: std::thread::JoinHandle<Vec<u8>>,
}

fn start(folder: &Path, server: &FaultServer) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.args(["serve", "--listen=127.0.0.1:0", "--log-level=trace", "--log-format=json", "--extra-ca=ca.pem"]);
    command.arg(format!("--egress-pin=*.canary-host.example={}", server.address)).current_dir(folder).env_clear();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        errors.read_to_end(&mut log).unwrap();
        log
    });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let link = lines.filter_map(|line| Some(format!("http://{}", line.split_once("http://")?.1))).next().expect("an address");
    let link: Url = link.parse().unwrap();
    Program { child, address: link.join("/").unwrap(), setup: link, log }
}

/// Sends requests and keeps every answer, headers too.
struct Reader {
    client: Client,
    address: Url,
    cookie: String,
    answers: Vec<(String, Vec<u8>)>,
}

impl Reader {
    async fn send(&mut self, path: &str, form: Option<&[(&str, &str)]>, accept: &str) -> (u16, String, String) {
        let url = self.address.join(path).unwrap();
        let request = match form {
            None => self.client.get(url),
            Some(form) => {
                let value = self.cookie.split_once('=').map_or("", |(_, value)| value);
                let mut body = form_urlencoded::Serializer::new(String::new());
                let body = body.extend_pairs(form).append_pair("form_token", &form_token(value)).finish();
                self.client.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
            }
        };
        let request =
            request.header("Sec-Fetch-Site", "same-origin").header(header::COOKIE, &self.cookie).header(header::ACCEPT, accept);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if let Some(cookie) = headers.get(header::SET_COOKIE) {
            self.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        let location = headers.get(header::LOCATION).map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        self.answers.push((format!("the answer to {path}"), format!("{headers:?}\n{text}").into_bytes()));
        (status, location, text)
    }

    async fn get(&mut self, path: &str) -> String {
        self.send(path, None, "text/html").await.2
    }
}

fn draft_in(page: &str) -> String {
    let tag = &page[page.find("name=\"draft\"").expect(page)..];
    tag.split_once("value=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_anywhere() {
    let authority = Authority::new();
    let rejecting = Arc::new(AtomicBool::new(true));
    let reject = Arc::clone(&rejecting);
    let server = FaultServer::start(authority.server(&[HOST, "api.canary-host.example"]), move |seen| {
        let sent = format!("{} {}", seen.header("authorization").unwrap_or_default(), String::from_utf8_lossy(&seen.body));
        match (seen.target.as_str(), reject.load(Ordering::SeqCst)) {
            // A service that repeats what it was sent, as some do, the secret in three forms.
            ("/token", true) => Reply::json(
                401,
                serde_json::json!({"error": "invalid_client", "error_description": format!("bad secret {SECRET} in {sent}")}),
            ),
            ("/token", false) => {
                Reply::json(200, serde_json::json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 600}))
            }
            // An API that repeats what it was sent, headers and all.
            _ => {
                let headers: serde_json::Map<_, _> =
                    seen.headers().iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
                Reply::json(200, serde_json::json!([{"record": BODY, "sent": sent, "headers": headers, "secret": SECRET}]))
            }
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), pem(&authority.certificate())).unwrap();
    let mut program = start(folder.path(), &server);
    let client = plain_client();
    let mut reader = Reader { client, address: program.address.clone(), cookie: String::new(), answers: Vec::new() };

    let page = reader.get(&format!("/setup?{}", program.setup.query().unwrap())).await;
    assert!(page.contains("id=\"setup-form\""), "{page}");
    let token = program.setup.query().unwrap().trim_start_matches("token=");
    let typed = [("token", token), ("email", "ana@example.com"), ("name", "Ana"), ("password", PASSWORD)];
    let (status, _, text) = reader.send("/setup", Some(&typed), "text/html").await;
    assert_eq!(status, 303, "{text}");
    let session = reader.cookie.split_once('=').unwrap().1.to_owned();

    let overlay = "/sources/new/oauth2-client-credentials/credentials/new";
    let draft = draft_in(&reader.get(overlay).await);
    let token_url = format!("https://{HOST}/token");
    let form = |draft: &str, secret: &str, authentication: &str| -> Vec<(String, String)> {
        let values = [
            ("draft", draft),
            ("name", "Canary cage"),
            ("description", ""),
            ("token_url", &token_url),
            ("client_id", CLIENT_ID),
            ("client_secret", secret),
            ("api_base_url", "https://api.canary-host.example"),
            ("scopes", SCOPE),
            ("client_authentication", authentication),
            ("basic_encoding", "form"),
            ("authorization_prefix", "Bearer"),
        ];
        values.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    let mut draft = draft;
    for (authentication, accept) in [("basic", "text/html"), ("body", "text/html"), ("basic", "application/x-ndjson")] {
        let form = form(&draft, SECRET, authentication);
        let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (_, _, text) = reader.send(overlay, Some(&pairs), accept).await;
        assert!(text.contains("invalid_client") || text.contains("rejected"), "{text}");
        if accept == "text/html" {
            draft = draft_in(&text);
        }
    }
    reader.get(overlay).await;
    // A wrong field beside the secret; then the kept secret is used.
    rejecting.store(false, Ordering::SeqCst);
    let kept = form(&draft, "", "basic");
    let pairs: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (status, location, text) = reader.send(overlay, Some(&pairs), "text/html").await;
    assert_eq!(status, 303, "{text}");
    assert_eq!(server.seen().last().unwrap().header("authorization").map(|value| value.starts_with("Basic ")), Some(true));
    let id = location.split_once("credential=").unwrap().1.split('&').next().unwrap().to_owned();
    let configure = format!("/sources/new/oauth2-client-credentials/configure?credential={id}");
    let page = reader.get(&configure).await;
    let tag = &page[page.find("name=\"form\"").unwrap()..];
    let form_id = tag.split_once("value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let resource = [
        ("form", form_id.as_str()),
        ("name", "Cage"),
        ("description", ""),
        ("endpoint", ""),
        ("method", "GET"),
        ("path", "/records"),
    ];
    let (status, _, text) = reader.send(&configure, Some(&[&resource[..], &[("action", "test")]].concat()), "text/html").await;
    assert!(status == 200 && text.contains(BODY) && text.contains("Bearer [redacted]"), "{text}");
    assert_eq!(
        server.seen().last().unwrap().header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str()),
        "the token was used"
    );
    let (status, source, text) =
        reader.send(&configure, Some(&[&resource[..], &[("action", "create")]].concat()), "text/html").await;
    assert_eq!(status, 303, "{text}");
    let source = source.split('?').next().unwrap().to_owned();
    reader.send(&format!("{source}/preview"), Some(&[]), "text/html").await;
    rejecting.store(true, Ordering::SeqCst);
    reader.send(&format!("/credentials/{id}/test"), Some(&[]), "text/html").await;
    let paths = [
        location,
        "/".into(),
        "/credentials".into(),
        format!("/credentials/{id}"),
        source,
        "/connectors".into(),
        overlay.into(),
        format!("{overlay}?client_secret=x"),
        "/nowhere".into(),
    ];
    for path in &paths {
        reader.get(path).await;
    }

    // While it runs, with the write-ahead log; and again when it has ended.
    let files = || {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder.path().join("keytile-data")).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
        assert!(files.iter().any(|(_, bytes)| bytes.windows(11).any(|window| window == b"Canary cage")), "the name is readable");
        files
    };
    let stored = ["canary-host", CLIENT_ID, SECRET, SCOPE, TOKEN, BODY, "/records", "invalid_client", PASSWORD, &session];
    for (file, bytes) in files() {
        find_none(&file, &bytes, &stored);
    }
    let killed = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
    assert!(killed.success() && program.child.wait().unwrap().success());
    for (file, bytes) in files() {
        find_none(&file, &bytes, &stored);
    }
    let log = program.log.join().unwrap();
    assert!(
        log.len() > 1_000 && String::from_utf8_lossy(&log).contains("\"level\":\"DEBUG\""),
        "{}",
        String::from_utf8_lossy(&log)
    );
    find_none("the log", &log, &["canary-host", CLIENT_ID, SECRET, SCOPE, TOKEN, BODY, PASSWORD, &session]);
    assert!(reader.answers.len() > 12);
    for (answer, bytes) in &reader.answers {
        find_none(answer, bytes, &[SECRET, TOKEN, PASSWORD]);
    }
}
