//! Lines slipped into the log and the audit trail: through everything that a request or a service can say, against
//! the program as it is run.

use std::{fs::File, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::{
    process::{Program, draft_in, encoded},
    support::{
        fault_server::{FaultServer, Reply},
        https::pem,
        raw::Raw,
        server::{OVERLAY, good_values},
        tls::Authority,
    },
};

/// Begins a line that looks like Keytile's own, in colour.
const FORGED: &str = "a\r\n{\"timestamp\":\"2025-01-01T00:00:00Z\",\"level\":\"ERROR\",\"forged\":true}\r\n\u{1b}[31mforged\u{1b}[0m\u{202e}\u{2028}";

/// Sends everything that can be sent to a Keytile that logs in this format; returns its log.
async fn attacked(folder: &Path, format: &str) -> String {
    let authority = Authority::new();
    let service = FaultServer::start(authority.server(&["acme.talkdeskid.com"]), |_| {
        Reply::json(400, json!({"error": FORGED, "error_description": FORGED}))
    })
    .await;
    let (file, log) = (folder.join("authority.pem"), folder.join("log"));
    std::fs::write(&file, pem(&authority.certificate())).unwrap();
    let arguments = [
        "serve".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        "--log-level=trace".to_owned(),
        format!("--log-format={format}"),
        "--trusted-proxy=127.0.0.1".to_owned(),
        format!("--egress-pin=acme.talkdeskid.com={}", service.address),
        format!("--extra-ca={}", file.display()),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut program = Program::start_logging(folder, &arguments, Stdio::from(File::create(&log).unwrap()));
    let cookie = program.set_up().await;
    let address = program.address.parse().unwrap();
    let path: String = form_urlencoded::byte_serialize(FORGED.as_bytes()).collect();
    let bare = FORGED.replace(['\r', '\n'], "");
    for target in
        ["/".to_owned(), format!("/{path}"), format!("/static/{path}"), format!("/sign-in?next={path}"), FORGED.replace(' ', "")]
    {
        for header in ["User-Agent", "X-Request-Id", "X-Forwarded-For", "Forwarded", "Referer", "Origin", "Accept", "Cookie"] {
            for value in [FORGED, &bare, "a\u{b}b\tc", &path] {
                let head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{header}: {value}\r\nConnection: close\r\n\r\n");
                // Half of these are no requests, and are answered so.
                Raw::with(address, &head).await.rest().await;
            }
        }
        for host in [FORGED, &bare, &path] {
            Raw::with(address, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await.rest().await;
        }
    }
    let forged =
        encoded(&cookie, &[("name", FORGED), ("email", FORGED), ("role", "editor"), ("password", FORGED), ("next", FORGED)]);
    for path in ["/sign-in", "/settings/name", "/settings/people", "/settings/groups", "/audit/export", "/password"] {
        program.ask(&format!("POST {path}"), &cookie, &forged).await;
        program.ask(&format!("POST {path}?{path}"), "", &forged).await;
    }
    // Failures that are recorded, with what a proxy says of where they come from, and a forged form of the session.
    for header in ["X-Forwarded-For", "X-Request-Id", "User-Agent"] {
        for value in [&bare, "1.1.1.1, {\"forged\":true}", "\t\u{85}\u{202e}", &path] {
            let headers = format!("{cookie}{header}: {value}\r\n");
            program.ask("POST /sign-in", &headers, &forged).await;
            program.ask("POST /settings/name", &headers, "name=x&form_token=x").await;
        }
    }
    // A service that says the same, by a Save that fails and is told so.
    let draft = draft_in(&program.ask(&format!("GET {OVERLAY}"), &cookie, "").await);
    let answer = program.ask(&format!("POST {OVERLAY}"), &cookie, &encoded(&cookie, &good_values("Words", &draft))).await;
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("forged"), "{answer}");
    assert_eq!(service.seen().len(), 1);
    program.signal("TERM");
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
    let log = std::fs::read(log).unwrap();
    String::from_utf8(log).expect("the log is text")
}

#[tokio::test]
async fn each_line_of_a_json_log_is_one_event_of_keytiles() {
    let folder = tempfile::tempdir().unwrap();
    let log = attacked(folder.path(), "json").await;
    assert!(log.lines().count() > 100, "{log}");
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?} in {log}"));
        assert!(event["timestamp"].is_string() && event["level"].is_string() && event["fields"].is_object(), "{line}");
        assert!(event.get("forged").is_none() && event["timestamp"] != "2025-01-01T00:00:00Z", "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[tokio::test]
async fn each_line_of_a_log_for_people_is_one_event_of_keytiles() {
    let folder = tempfile::tempdir().unwrap();
    let log = attacked(folder.path(), "pretty").await;
    assert!(log.lines().count() > 100, "{log}");
    for line in log.lines() {
        // Keytile's own colours, where there are any, stand before the time and nowhere in what others said.
        let begin = line.trim_start_matches("\u{1b}[2m");
        assert!(begin.starts_with("20") && begin.as_bytes()[4] == b'-', "{line:?} in {log}");
        assert!(!line.contains("\u{1b}[31mforged") && !line.contains('\u{202e}'), "{line:?}");
        assert!(!line.chars().any(|c| c.is_control() && c != '\u{1b}'), "{line:?}");
    }
}

#[tokio::test]
async fn each_event_of_the_audit_trail_is_one_line_of_its_export() {
    let folder = tempfile::tempdir().unwrap();
    attacked(folder.path(), "json").await;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_keytile"))
        .args(["audit", "export"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut seq, mut failed) = (0, 0);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        seq += 1;
        assert_eq!(event["seq"], seq, "{line}");
        failed += usize::from(event["outcome"] != "done");
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{2028}'), "{line:?}");
        for word in ["forged\":true", "[31m"] {
            assert!(!line.contains(word), "{line}");
        }
    }
    assert!(failed > 3, "{text}");
}
