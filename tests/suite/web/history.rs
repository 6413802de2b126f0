//! The history: what its pages say after a credential was used, and what becomes of it.

use std::time::Duration;

use axum::{body::Body, http::Response};
use keytile::{
    domain::users::Role,
    service::{access::caller::Origin, api_keys::authenticate::KeyCheck, tokens::issue::TokenIssue},
};
use reqwest::Method;

use crate::{
    process::{Program, draft_in, encoded},
    proxy::{Scene, make_key},
    support::server::{ADMINISTRATOR, OVERLAY, PASSWORD, credential_in, good_values},
    web::sessions::until,
};

/// A scene whose service answers 200, and 503 to what asks for `/down`.
async fn scene() -> Scene {
    Scene::set(async |request| {
        let mut answer = Response::new(Body::from("answer"));
        if request.uri().path() == "/down" {
            *answer.status_mut() = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    })
    .await
}

async fn send(scene: &Scene, method: Method, path: &str) -> u16 {
    let answer = scene.ask(method, &scene.source, path).send().await.unwrap();
    let status = answer.status().as_u16();
    answer.bytes().await.unwrap();
    status
}

/// The cells of each row of a table, without what is between.
fn rows(page: &str, table: &str) -> Vec<Vec<String>> {
    let Some((_, rest)) = page.split_once(&format!("id=\"{table}\"")) else { return Vec::new() };
    let body = rest.split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
    let cells = |row: &str| row.split("<td").skip(1).map(|cell| text(cell.split_once('>').unwrap().1)).collect();
    body.split("<tr>").skip(1).map(cells).collect()
}

fn text(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for letter in html.chars() {
        match letter {
            '<' => inside = true,
            '>' => inside = false,
            letter if !inside => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the rows of single uses say but for when and how long.
fn told(page: &str) -> Vec<String> {
    let mut told: Vec<String> = rows(page, "uses").iter().map(|row| row[1..row.len() - 1].join(" | ")).collect();
    told.sort();
    told
}

#[tokio::test]
async fn it_tells_who_asked_with_which_token_and_how_it_ended() {
    let scene = scene().await;
    assert_eq!(send(&scene, Method::GET, "/users").await, 200);
    assert_eq!(send(&scene, Method::GET, "/users?page=2").await, 200);
    assert_eq!(send(&scene, Method::GET, "/down").await, 503);
    assert_eq!(send(&scene, Method::DELETE, "/users").await, 405, "a source reads");
    scene.service.revoke();
    assert_eq!(send(&scene, Method::GET, "/users").await, 200, "with another token");
    let mut browser = scene.server.browser();
    let preview = browser.post(&format!("/sources/{}/preview", scene.source), &[("body", "")]).await;
    assert_eq!(preview.status, 200);
    scene.server.service.write_history().await.unwrap();

    let page = browser.get(&format!("/sources/{}/history", scene.source)).await;
    let key = "API key “Key proxy” of Ana";
    assert_eq!(
        told(&page.text),
        [
            "API key “Key proxy” of Ana | Request | cached | 200 OK | 2".to_owned(),
            "API key “Key proxy” of Ana | Request | cached | 503 Service Unavailable | 1".to_owned(),
            format!("{key} | Request | fetched: the service rejected the last one (401) | 200 OK | 1"),
            format!("{key} | Request | – | Method not allowed | 1"),
            "Ana | Test or preview | cached | 200 OK | 1".to_owned(),
        ]
    );
    let totals = text(page.text.split_once("id=\"totals\"").unwrap().1.split_once("</dl>").unwrap().0);
    assert!(totals.contains("Requests6 Refused (4xx)1 (17 %) Failed1 (17 %)"), "{totals}");
    let [hour] = &rows(&page.text, "periods")[..] else { panic!("one hour") };
    assert_eq!(hour[1..4], ["6", "1", "1"]);
    assert!(page.text.contains("class=\"bar-failed\"") && page.text.contains("6 requests, 1 refused, 1 failed"));
    assert!(!page.text.contains("page=2"), "a query is none of its business");

    let only = browser.get(&format!("/sources/{}/history?only=problems&range=quarter", scene.source)).await;
    assert_eq!(told(&only.text).len(), 2, "{:?}", told(&only.text));
    only.says("The last 90 days");

    // The credential's own history has the fetches as well, and says for which resource.
    let page = browser.get(&format!("/credentials/{}/history", scene.credential)).await;
    let told = told(&page.text);
    assert!(told.contains(&"– | Ana | Verification | fetched by a verification | Issued | 1".to_owned()), "{told:?}");
    let refetched = "– | Keytile | Token fetched | fetched: the service rejected the last one (401) | Issued | 1";
    assert!(told.contains(&refetched.to_owned()), "{told:?}");
    assert!(told.contains(&format!("Agents | {key} | Request | cached | 200 OK | 2")), "{told:?}");
}

#[tokio::test]
async fn tokens_that_are_fetched_early_or_late_or_in_vain_are_told_with_their_reason() {
    let scene = scene().await;
    // Tokens live ten minutes and are replaced in the last of them.
    scene.setup.clock.advance(Duration::from_secs(570));
    assert_eq!(send(&scene, Method::GET, "/users").await, 200);
    // It is replaced behind the request.
    let fetched = "SELECT CAST(COUNT(*) AS TEXT) FROM access_tokens WHERE fetched_at > (SELECT MIN(verified_at) FROM credentials)";
    until(async || scene.setup.texts(fetched).await == ["1"]).await;
    scene.setup.clock.advance(Duration::from_secs(601));
    assert_eq!(send(&scene, Method::GET, "/users").await, 200);
    scene.service.issues_instead(Some((400, serde_json::json!({"error": "invalid_client"}))));
    scene.setup.clock.advance(Duration::from_secs(601));
    assert_eq!(send(&scene, Method::GET, "/users").await, 502);
    let key = make_key(&scene.server, &["tokens:issue"], &[]).await;
    let service = &scene.server.service;
    let KeyCheck::Accepted(caller) = service.authenticate_key(&key, Origin::default()).await.unwrap() else { panic!("rejected") };
    let issue = service.issue_token(&caller, scene.source.parse().unwrap(), Duration::ZERO).await.unwrap();
    assert!(matches!(issue, TokenIssue::Refused(_)));
    service.write_history().await.unwrap();

    let page = scene.server.browser().get(&format!("/credentials/{}/history", scene.credential)).await;
    let told = told(&page.text);
    for expected in [
        "– | Keytile | Token fetched | fetched early: the last one was about to expire | Issued | 1",
        "– | Keytile | Token fetched | fetched: the last one had expired | Issued | 1",
        "– | Keytile | Token fetched | fetched: the last one had expired | Rejected | 1",
        "Agents | API key “Key proxy” of Ana | Request | cached | 200 OK | 1",
        "Agents | API key “Key proxy” of Ana | Request | fetched: the last one had expired | 200 OK | 1",
        "Agents | API key “Key proxy” of Ana | Request | – | Credential rejected | 1",
        "Agents | API key “Key tokens:issue” of Ana | Token issued | – | Rejected | 1",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected}\n{told:#?}");
    }
}

#[tokio::test]
async fn who_may_only_use_a_credential_reads_no_names_but_their_own() {
    let scene = scene().await;
    assert_eq!(send(&scene, Method::GET, "/users").await, 200);
    scene.server.service.write_history().await.unwrap();
    let mut other = scene.server.browser_as("ben@example.com", Role::Editor).await;
    let (of_source, of_credential) =
        (format!("/sources/{}/history", scene.source), format!("/credentials/{}/history", scene.credential));
    assert_eq!((other.get(&of_source).await.status, other.get(&of_credential).await.status), (404, 404));
    let sharing = format!("/credentials/{}/sharing", scene.credential);
    let shared = [("action", "add"), ("with", "ben@example.com"), ("access", "use")];
    assert_eq!(scene.server.browser().post(&sharing, &shared).await.status, 303);
    let preview = other.post(&format!("/sources/{}/preview", scene.source), &[("body", "")]).await;
    assert_eq!(preview.status, 200);
    scene.server.service.write_history().await.unwrap();
    for path in [of_source, of_credential] {
        let page = other.get(&path).await;
        let told = told(&page.text).join("\n");
        assert!(told.contains("someone else | Request") && told.contains("ben | Test or preview"), "{told}");
        assert!(!told.contains("Ana") && !told.contains("Key proxy"), "{told}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_written_later_and_no_request_waits_for_it() {
    let scene = scene().await;
    let service = &scene.server.service;
    service.write_history().await.unwrap();
    scene.setup.execute("CREATE TRIGGER full BEFORE INSERT ON history_hours BEGIN SELECT RAISE(ABORT, 'full'); END").await;
    for _ in 0..3 {
        assert_eq!(send(&scene, Method::GET, "/users").await, 200);
        assert!(service.write_history().await.is_err());
    }
    scene.setup.execute("DROP TRIGGER full").await;
    assert_eq!(send(&scene, Method::GET, "/users").await, 200);
    service.write_history().await.unwrap();
    service.write_history().await.unwrap();
    let counted = scene.setup.texts("SELECT CAST(SUM(uses) AS TEXT) FROM history WHERE action = 'request'").await;
    let hours = scene.setup.texts("SELECT CAST(SUM(requests) AS TEXT) FROM history_hours").await;
    assert_eq!((counted[0].as_str(), hours[0].as_str()), ("4", "4"), "all of them, and each once");
}

#[tokio::test]
async fn it_is_written_when_keytile_stops_and_cleared_away_when_it_is_old() {
    let scene = scene().await;
    assert_eq!(send(&scene, Method::GET, "/users").await, 200);
    let Scene { setup, server, source, .. } = scene;
    server.stop().await;
    let server = setup.start().await;
    let path = format!("/sources/{source}/history?range=quarter");
    let mut browser = server.visitor();
    browser.sign_in(ADMINISTRATOR, PASSWORD).await;
    assert_eq!(told(&browser.get(&path).await.text), ["API key “Key proxy” of Ana | Request | cached | 200 OK | 1"]);
    let days = |days: u64| Duration::from_secs(days * 24 * 3_600);
    for (later, uses, hours) in [(days(8), "0", "1"), (days(83), "0", "0")] {
        setup.clock.advance(later);
        server.service.delete_expired().await.unwrap();
        let count =
            async |table| setup.texts(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table} WHERE resource <> zeroblob(16)")).await;
        assert_eq!((count("history").await, count("history_hours").await), (vec![uses.to_owned()], vec![hours.to_owned()]));
    }
}

#[tokio::test]
async fn uses_are_paged_by_whole_minutes() {
    let scene = scene().await;
    for _ in 0..60 {
        assert_eq!(send(&scene, Method::GET, "/users").await, 200);
        assert_eq!(send(&scene, Method::DELETE, "/users").await, 405);
        scene.setup.clock.advance(Duration::from_secs(60));
    }
    scene.server.service.write_history().await.unwrap();
    let mut browser = scene.server.browser();
    let mut address = format!("/sources/{}/history?range=week", scene.source);
    let mut seen = Vec::new();
    loop {
        let page = browser.get(&address).await;
        seen.extend(rows(&page.text, "uses").into_iter().map(|row| row[..4].join(" ")));
        let Some((_, more)) = page.text.split_once("id=\"load-more\"><a class=\"button\" href=\"") else { break };
        address = more.split('#').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    }
    assert!(seen.len() >= 120, "{}", seen.len());
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "nothing twice");
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_with(folder.path(), &["serve", "--sandbox", "--listen", "127.0.0.1:0"]);
    let cookie = program.set_up().await;
    let draft = draft_in(&program.ask(&format!("GET {OVERLAY}"), &cookie, "").await);
    let saved = program.ask(&format!("POST {OVERLAY}"), &cookie, &encoded(&cookie, &good_values("Used", &draft))).await;
    let credential = credential_in(&saved).chars().take(36).collect::<String>();
    let path = format!("GET /credentials/{credential}/history");
    // It is written without anybody asking for it.
    until(async || program.ask(&path, &cookie, "").await.contains("fetched by a verification")).await;
    program.signal("KILL");
    drop(program);
    let again = Program::start_with(folder.path(), &["serve", "--sandbox", "--listen", "127.0.0.1:0"]);
    assert!(again.ask(&path, &cookie, "").await.contains("fetched by a verification"));
}
