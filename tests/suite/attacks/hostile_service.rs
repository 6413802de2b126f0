//! A service that answers to harm whoever reads it: with script, control characters, escapes of terminals, text that
//! turns round, and more than anybody can read. Every page shows its words as text, cut, and in one place.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keytile::domain::credentials::verification::SERVICE_WORDS_MAX;
use serde_json::json;

use super::script::harmless;
use crate::support::{
    fault_server::{FaultServer, Reply},
    https::pem,
    server::{Browser, OVERLAY, Page, Server, Setup, credential_in, good_values},
    tls::Authority,
};

/// Ends what it may stand in, runs, colours a terminal, sets its title, turns round, hides, and begins a line.
pub(super) const HOSTILE: &str = "\"'><img src=q onerror=pwned()></pre></td></textarea></title><script>pwned()</script>{{7*7}}<b>pwned()\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\u{202e}dnuor\u{2066}\u{feff}\0\u{8}\r\nforged line\u{2028}forged line\u{85}";
/// What names this service.
const HOSTS: [&str; 2] = ["acme.talkdeskid.com", "api.talkdeskapp.com"];

fn long() -> String {
    format!("{HOSTILE}{}", "x".repeat(30_000))
}

/// What a header can hold of it.
fn in_header() -> String {
    HOSTILE.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect()
}

/// What a token endpoint can answer.
pub(super) fn token_answers() -> Vec<Reply> {
    let text = long();
    let html =
        |status| Reply::Whole(status, vec![("Content-Type", "text/html".into())], format!("<html><title>{text}</title>{text}"));
    vec![
        Reply::json(400, json!({"error": text, "error_description": text, "error_uri": "javascript:pwned()"})),
        Reply::json(400, json!({"error": "invalid_client", "error_description": HOSTILE})),
        Reply::json(401, json!({"error": {"code": HOSTILE, "message": text}})),
        Reply::json(403, json!({"code": HOSTILE, "detail": HOSTILE, "title": text})),
        Reply::json(422, json!({"errors": [{"message": text}]})),
        Reply::json(200, json!({"error": HOSTILE, "error_description": text})),
        Reply::json(200, json!({"access_token": HOSTILE, "token_type": text, "scope": text, "expires_in": HOSTILE})),
        Reply::json(200, json!({"access_token": "a\r\nInjected: yes", "token_type": HOSTILE})),
        Reply::json(200, json!({"access_token": "tok-1", "token_type": HOSTILE, "scope": HOSTILE})),
        Reply::json(429, json!({"error": HOSTILE, "message": HOSTILE})),
        html(200),
        html(400),
        html(404),
        html(500),
        Reply::Whole(503, vec![("Retry-After", in_header()), ("Content-Type", in_header())], text.clone()),
        Reply::Whole(302, vec![("Location", in_header()), ("Content-Type", in_header())], text.clone()),
        Reply::Whole(401, vec![("WWW-Authenticate", format!("Basic realm=\"{}\"", in_header()))], text.clone()),
        Reply::Whole(400, vec![("Content-Type", format!("{}/x", in_header())), ("X-Error", HOSTILE.into())], text.clone()),
        Reply::Cut(format!("HTTP/1.1 400 {HOSTILE}\r\nContent-Length: 2\r\n\r\n{{}}")),
        Reply::Cut(format!("{HOSTILE}\r\n\r\n")),
    ]
}

/// What an API can answer.
fn api_answers() -> Vec<Reply> {
    let text = long();
    let mut answers = token_answers();
    answers.extend([
        Reply::json(200, json!({ HOSTILE: HOSTILE, text.as_str(): text })),
        Reply::json(200, json!([{ HOSTILE: { HOSTILE: [text] } }, { "name": HOSTILE }])),
        Reply::json(200, json!({ "_embedded": { HOSTILE: [{ HOSTILE: HOSTILE, "total": text }] } })),
        Reply::json(200, json!(text)),
        Reply::Whole(200, vec![("Content-Type", "text/csv".into())], text),
    ]);
    answers
}

/// A Keytile whose service answers what the test says, from token endpoint and API.
struct Scene {
    setup: Setup,
    server: Server,
    token: Arc<Mutex<Reply>>,
    api: Arc<Mutex<Reply>>,
    _service: FaultServer,
}

impl Scene {
    async fn set() -> Self {
        let authority = Authority::new();
        let token = Arc::new(Mutex::new(Reply::token()));
        let api = Arc::new(Mutex::new(Reply::json(200, json!({"ok": true}))));
        let (tokens, apis) = (Arc::clone(&token), Arc::clone(&api));
        let service = FaultServer::start(authority.server(&HOSTS), move |seen| {
            let answer = if seen.header("host") == Some(HOSTS[0]) { &tokens } else { &apis };
            answer.lock().unwrap().clone()
        })
        .await;
        let setup = Setup::new();
        let file = setup.folder.path().join("authority.pem");
        std::fs::write(&file, pem(&authority.certificate())).unwrap();
        let setup = HOSTS.iter().fold(setup, |setup, host| setup.with(format!("--egress-pin={host}={}", service.address)));
        let setup = setup.with(format!("--extra-ca={}", file.display()));
        let server = setup.start().await;
        Self { setup, server, token, api, _service: service }
    }

    fn answers(&self, token: Reply, api: Reply) {
        *self.token.lock().unwrap() = token;
        *self.api.lock().unwrap() = api;
    }

    fn is_good(&self) {
        self.answers(Reply::token(), Reply::json(200, json!({"ok": true})));
    }
}

/// Nothing in the page runs, hides, turns round or is without end.
#[track_caller]
fn shown_as_text(page: &Page, place: &str) {
    assert!(page.status < 500, "{place}: {}", page.status);
    reads_as_text(page, place);
}

/// The same for a page that may say that somebody else's server has failed.
#[track_caller]
pub(super) fn reads_as_text(page: &Page, place: &str) {
    harmless(page, place);
    for c in page.text.chars() {
        let breaks = c.is_control() && !matches!(c, '\n' | '\t' | '\r');
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
        assert!(!breaks && !turns, "{place}: {c:?} stands in the page:\n{:?}", page.text);
    }
    // Where a provider sends browsers is its own to say, and encoded.
    let said = page.headers.iter().filter(|(name, _)| *name != "location");
    assert!(!said.into_iter().any(|(_, value)| value.as_bytes().windows(5).any(|part| part == b"pwned")), "{place}");
}

/// The longest run of the letter that the service sent 30,000 of.
pub(super) fn longest_run(page: &Page) -> usize {
    page.text.split(|c| c != 'x').map(str::len).max().unwrap_or_default()
}

async fn save(browser: &mut Browser, name: &str) -> Page {
    let draft = browser.get(OVERLAY).await.value("draft");
    browser.post(OVERLAY, &good_values(name, &draft)).await
}

#[tokio::test]
async fn words_of_a_token_endpoint_are_text_wherever_they_are_shown() {
    let scene = Scene::set().await;
    let mut ana = scene.server.browser();
    let saved = save(&mut ana, "Good").await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let credential = credential_in(&saved.location.unwrap());
    let own = format!("/credentials/{credential}");
    let (mut shown, mut kept) = (0, 0);
    for (number, answer) in token_answers().into_iter().enumerate() {
        scene.answers(answer, Reply::json(200, json!({"ok": true})));
        let what = format!("answer {number}");
        let tried = save(&mut ana, &format!("Try {number}")).await;
        shown_as_text(&tried, &what);
        shown += usize::from(tried.text.contains("pwned"));
        assert!(longest_run(&tried) <= SERVICE_WORDS_MAX, "{what}: {}", longest_run(&tried));
        // The same as lines, for script.
        let draft = ana.get(OVERLAY).await.value("draft");
        let lines = ana.form(OVERLAY, &good_values(&format!("Lines {number}"), &draft)).header("Accept", "application/x-ndjson");
        let lines = ana.send(lines).await;
        assert!(lines.text.lines().count() >= 2, "{what}: {}", lines.text);
        for line in lines.text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{what}: {line}"));
            if let Some(html) = line["html"].as_str() {
                let part = Page { status: 200, location: None, headers: reqwest::header::HeaderMap::new(), text: html.to_owned() };
                shown_as_text(&part, &what);
            }
        }
        // What is kept of a Test. It is the newest also for tests that run beside this one and move their clocks.
        scene.setup.clock.advance(Duration::from_secs(1));
        assert_eq!(ana.post(&format!("{own}/test"), &[]).await.status, 303, "{what}");
        for path in [&own, "/credentials", "/sources/new/talkdesk/authenticate", "/", "/audit"] {
            let page = ana.get(path).await;
            shown_as_text(&page, &format!("{what} on {path}"));
            assert!(longest_run(&page) <= SERVICE_WORDS_MAX, "{what} on {path}");
            kept += usize::from(path == own && page.text.contains("pwned"));
        }
    }
    assert!(shown >= 8 && kept >= 8, "only {shown} Saves and {kept} Tests show what the service said");
    one_line_each(&scene.setup).await;
    scene.server.stop().await;
}

/// Every text of the audit trail is of one line, bounded, and without the service's words.
pub(super) async fn one_line_each(setup: &Setup) {
    let texts = "SELECT actor_name || ' ' || target_name || ' ' || address || ' ' || request || ' ' || detail FROM audit_events";
    let texts = setup.texts(texts).await;
    assert!(texts.len() > 20);
    for text in texts {
        assert!(!text.chars().any(char::is_control) && text.len() < 2_000 && !text.contains("pwned"), "{text:?}");
    }
}

#[tokio::test]
async fn what_an_api_answers_is_text_in_every_preview() {
    let scene = Scene::set().await;
    let mut ana = scene.server.browser();
    let credential = credential_in(&save(&mut ana, "Good").await.location.unwrap());
    let configure = format!("/sources/new/talkdesk/configure?credential={credential}");
    let form = ana.get(&configure).await.value("form");
    let typed = [("form", form.as_str()), ("name", "Agents"), ("method", "GET"), ("path", "/account")];
    let created = ana.post(&configure, &[&typed[..], &[("action", "create")]].concat()).await;
    let source = created.location.unwrap().split('?').next().unwrap().to_owned();
    let mut shown = 0;
    for (number, answer) in api_answers().into_iter().enumerate() {
        scene.answers(Reply::token(), answer);
        let form = ana.get(&configure).await.value("form");
        let typed = [("form", form.as_str()), ("name", "x"), ("method", "GET"), ("path", "/account"), ("action", "test")];
        for page in [ana.post(&configure, &typed).await, ana.post(&format!("{source}/preview"), &[]).await] {
            let what = format!("answer {number}");
            assert_eq!(page.status, 200, "{what}");
            shown_as_text(&page, &what);
            // A preview shows more than words, and not all there is.
            assert!(longest_run(&page) < 20_000 && page.text.len() < 120_000, "{what}: {}", page.text.len());
            shown += usize::from(page.text.contains("pwned"));
        }
    }
    assert!(shown > 30, "only {shown} previews show what the API answered");
    // And of a token endpoint that fails while a preview is made.
    for (number, answer) in token_answers().into_iter().enumerate() {
        scene.is_good();
        let name = format!("Next {number}");
        let credential = credential_in(&save(&mut ana, &name).await.location.unwrap());
        // The token of the Save has ended.
        scene.setup.clock.advance(Duration::from_secs(601));
        scene.answers(answer, Reply::json(200, json!({"ok": true})));
        let configure = format!("/sources/new/talkdesk/configure?credential={credential}");
        let form = ana.get(&configure).await.value("form");
        let typed = [("form", form.as_str()), ("name", "x"), ("method", "GET"), ("path", "/account"), ("action", "test")];
        let page = ana.post(&configure, &typed).await;
        shown_as_text(&page, &name);
        assert!(longest_run(&page) <= SERVICE_WORDS_MAX, "{name}");
    }
    one_line_each(&scene.setup).await;
    scene.server.stop().await;
}
