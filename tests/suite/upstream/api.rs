//! Requests to an API, and the probe.

use keytile::{
    domain::{
        credentials::verification::{Blame, FaultCode, Stage, StageOutcome},
        resources::{ApiPath, Endpoint, Method},
    },
    upstream::{ApiAnswer, ApiRequest, Limits},
};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::support::raw::PATIENCE;

fn token() -> SecretString {
    "tok-1".into()
}

fn endpoint(method: Method, path: &str, query: &[(&str, &str)]) -> Endpoint {
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Endpoint { method, path: ApiPath::parse(path).unwrap(), query }
}

async fn call(upstream: &Upstream, connector: &Connector, values: &FieldValues, endpoint: &Endpoint) -> ApiAnswer {
    upstream.api.call(connector, values, &token(), &ApiRequest { endpoint, body: None }).await.unwrap()
}

fn with(mut values: FieldValues, field: &str, value: &str) -> FieldValues {
    values.insert(FieldId::new(field).unwrap(), FieldValue::Plain(value.into()));
    values
}

#[tokio::test]
async fn a_call_is_sent_as_the_connector_and_the_resource_say() {
    let (server, upstream) = serving(|_| Reply::json(200, json!({"users": []}))).await;
    let users = endpoint(Method::Get, "/users", &[("page", "1"), ("q", "a b&c=ü+%")]);
    let answer = call(&upstream, &talkdesk(), &talkdesk_values(), &users).await;
    assert_eq!((answer.status, answer.content_type.as_deref(), answer.truncated), (200, Some("application/json"), false));
    assert_eq!(answer.body, br#"{"users":[]}"#);
    assert!(answer.elapsed > Duration::ZERO);
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/users?page=1&q=a%20b%26c%3D%C3%BC%2B%25"));
    assert_eq!(seen.header("host"), Some("api.talkdeskapp.com"));
    assert_eq!(seen.header("authorization"), Some("Basic tok-1"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert!(seen.header("content-type").is_none());

    let values = with(generic_values("https://id.example.test/token"), "api_base_url", "https://api.example.test:8443/v1/?key=1");
    call(&upstream, &generic(), &values, &endpoint(Method::Delete, "/users/1", &[("a", "b")])).await;
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("DELETE", "/v1/users/1?key=1&a=b"));
    assert_eq!(seen.header("host"), Some("api.example.test:8443"));
    assert_eq!(seen.header("authorization"), Some("Bearer tok-1"));
}

#[tokio::test]
async fn bodies_and_headers_of_the_connector_are_sent() {
    let (server, upstream) = serving(|_| Reply::json(201, json!({"id": 1}))).await;
    let connector = generic_with("[api]", "[api.headers]\nX-Api-Key = \"{client_id}\"\nX-Scopes = \"{scopes}\"\n\n[api]");
    let create = endpoint(Method::Post, "/contacts", &[]);
    let body = r#"{"name": "é"}"#;
    let values = generic_values("https://id.example.test/token");
    let request = ApiRequest { endpoint: &create, body: Some(body) };
    assert_eq!(upstream.api.call(&connector, &values, &token(), &request).await.unwrap().status, 201);
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/contacts"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(seen.header("x-api-key"), Some("client-1"));
    assert_eq!(seen.header("x-scopes"), None);
}

#[tokio::test]
async fn every_status_is_an_answer_and_none_is_followed() {
    let (server, upstream) = serving(|seen| {
        let status = seen.target[1..].parse().unwrap();
        Reply::Whole(status, vec![("Location", "https://api.talkdeskapp.com/200".into())], "said".into())
    })
    .await;
    for status in [200, 302, 401, 403, 404, 429, 500] {
        let answer = call(&upstream, &talkdesk(), &talkdesk_values(), &endpoint(Method::Get, &format!("/{status}"), &[])).await;
        assert_eq!((answer.status, answer.body.as_slice()), (status, b"said".as_slice()));
    }
    assert_eq!(server.seen().len(), 7);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_and_marked() {
    let limits = Limits { api_answer: 100_000, ..Limits::default() };
    let (_server, upstream) = serving_within(limits, |_| Reply::Endless).await;
    let answer = call(&upstream, &talkdesk(), &talkdesk_values(), &endpoint(Method::Get, "/users", &[])).await;
    assert_eq!((answer.body.len(), answer.truncated), (100_000, true));
}

#[tokio::test]
async fn an_api_that_repeats_the_request_gives_nothing_away() {
    let connector = generic_with("[api]", "[api.headers]\nX-Id = \"{client_id}\"\n\n[api]");
    let values = generic_values("https://id.example.test/token");
    let token = "tok.en-1234567890/+=";
    let (_server, upstream) = serving(|seen| {
        let sent = seen.header("authorization").unwrap();
        let escaped: String = sent.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        match seen.target.as_str() {
            "/json" => {
                Reply::json(200, json!({"headers": {"authorization": sent}, "secret": HARD_SECRET, "id": seen.header("x-id")}))
            }
            "/escaped" => Reply::Whole(200, Vec::new(), format!("{{\"sent\": \"{escaped}\"}}")),
            "/slashes" => Reply::Whole(200, Vec::new(), format!("{{\"sent\": \"{}\"}}", sent.replace('/', "\\/"))),
            "/html" => Reply::Whole(200, Vec::new(), format!("<b>{}</b>", sent.replace('+', "&#43;"))),
            "/url" => {
                Reply::Whole(200, Vec::new(), format!("?sent={}", sent.replace(' ', "+").replace('+', "%2b").replace('=', "%3D")))
            }
            "/type" => Reply::Whole(200, vec![("Content-Type", format!("text/{}; q=1", &sent[7..]))], "said".into()),
            _ => Reply::Whole(200, Vec::new(), "nothing of it \\ & % \u{0}".into()),
        }
    })
    .await;
    for (path, expected) in [
        ("/json", r#"{"headers":{"authorization":"Bearer [redacted]"},"secret":"[redacted]","id":"client-1"}"#),
        ("/escaped", r#"{"sent": "\u0042\u0065\u0061\u0072\u0065\u0072\u0020[redacted]"}"#),
        ("/slashes", r#"{"sent": "Bearer [redacted]"}"#),
        ("/html", "<b>Bearer [redacted]</b>"),
        ("/url", "?sent=Bearer%2b[redacted]"),
        ("/type", "said"),
        ("/other", "nothing of it \\ & % \u{0}"),
    ] {
        let endpoint = endpoint(Method::Get, path, &[]);
        let request = ApiRequest { endpoint: &endpoint, body: None };
        let answer = upstream.api.call(&connector, &values, &token.into(), &request).await.unwrap();
        assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
        assert!(!answer.truncated);
        if path == "/type" {
            assert_eq!(answer.content_type.unwrap(), "text/[redacted]");
        }
    }
}

#[tokio::test]
async fn a_token_that_an_answer_is_cut_in_is_not_shown_in_part() {
    let limits = Limits { api_answer: 100, ..Limits::default() };
    let (_server, upstream) = serving_within(limits, |seen| {
        let before: usize = seen.target[1..].parse().unwrap();
        Reply::Whole(200, Vec::new(), format!("{}tok-1-abcdefghijklmnop!", ".".repeat(before)))
    })
    .await;
    let token = SecretString::from("tok-1-abcdefghijklmnop");
    for (before, mark, truncated) in [
        (70, "[redacted]!", false),
        (77, "[redacted]!", false),
        (78, "[redacted]", true),
        (79, "[redacted]", true),
        (90, "[redacted]", true),
        (92, "[redacte", true),
        // Fewer characters than eight say too little.
        (93, "tok-1-a", true),
    ] {
        let endpoint = endpoint(Method::Get, &format!("/{before}"), &[]);
        let request = ApiRequest { endpoint: &endpoint, body: None };
        let answer = upstream.api.call(&talkdesk(), &talkdesk_values(), &token, &request).await.unwrap();
        let expected = format!("{}{mark}", ".".repeat(before));
        assert_eq!((String::from_utf8(answer.body).unwrap(), answer.truncated), (expected, truncated));
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_an_answer() {
    let (_server, upstream) = serving(|seen| {
        let head = match seen.target.as_str() {
            "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
            // The length of what would have been sent (RFC 9110 section 8.6).
            "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 400\r\nContent-Type: application/json\r\n\r\n",
            _ => "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        };
        Reply::Cut(head.into())
    })
    .await;
    for status in [204, 304, 205] {
        for method in [Method::Get, Method::Delete, Method::Put] {
            let answer = call(&upstream, &talkdesk(), &talkdesk_values(), &endpoint(method, &format!("/{status}"), &[])).await;
            assert_eq!((answer.status, answer.body.len(), answer.truncated), (status, 0, false));
        }
    }
}

#[tokio::test]
async fn a_call_that_gets_no_answer_has_a_diagnosis() {
    let (_server, upstream) = serving_within(short(), |seen| match seen.target.as_str() {
        "/cut" => Reply::Cut("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".into()),
        _ => Reply::Silence,
    })
    .await;
    for (path, code) in [("/cut", FaultCode::AnswerCut), ("/silent", FaultCode::TimedOut)] {
        let endpoint = endpoint(Method::Get, path, &[]);
        let request = ApiRequest { endpoint: &endpoint, body: None };
        let result = upstream.api.call(&talkdesk(), &talkdesk_values(), &token(), &request).await;
        let diagnosis = result.err().unwrap();
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, code, Blame::Service));
        assert!(diagnosis.summary.starts_with("The API of TalkDesk"), "{}", diagnosis.summary);
    }
}

#[tokio::test]
async fn an_api_on_a_private_address_is_not_called() {
    let (server, upstream) = serving(|_| Reply::token()).await;
    let endpoint = endpoint(Method::Get, "/users", &[]);
    let request = ApiRequest { endpoint: &endpoint, body: None };
    let inside = format!("https://127.0.0.1:{}", server.address.port());
    let values = with(generic_values("https://id.example.test/token"), "api_base_url", &inside);
    let diagnosis = upstream.api.call(&generic(), &values, &token(), &request).await.err().unwrap();
    assert_eq!((diagnosis.code, fields(&diagnosis)), (FaultCode::AddressRefused, vec!["api_base_url"]));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_prefix_that_cannot_be_sent_is_the_fields_fault() {
    let (server, upstream) = serving(|_| Reply::token()).await;
    let endpoint = endpoint(Method::Get, "/users", &[]);
    let request = ApiRequest { endpoint: &endpoint, body: None };
    let values = with(generic_values("https://id.example.test/token"), "authorization_prefix", "Bear\r\ner");
    let diagnosis = upstream.api.call(&generic(), &values, &token(), &request).await.err().unwrap();
    assert_eq!((diagnosis.stage, diagnosis.code), (Stage::Input, FaultCode::InvalidInput));
    assert_eq!(fields(&diagnosis), ["authorization_prefix"]);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_probe_that_is_answered_passes() {
    let (server, upstream) = serving(|_| Reply::json(200, json!({"name": "Acme"}))).await;
    let outcome = upstream.api.probe(&talkdesk(), &talkdesk_values(), &token()).await;
    assert_eq!((outcome.report.stage, outcome.report.outcome, outcome.notice), (Stage::Probe, StageOutcome::Passed, None));
    assert!(outcome.report.micros > 0);
    let seen = server.seen();
    assert_eq!((seen.len(), seen[0].target.as_str(), seen[0].method.as_str()), (1, "/account", "GET"));
}

#[tokio::test]
async fn a_connector_without_a_probe_skips_it() {
    let (server, upstream) = serving(|_| Reply::token()).await;
    let outcome = upstream.api.probe(&generic(), &generic_values("https://id.example.test/token"), &token()).await;
    assert_eq!((outcome.report.outcome, outcome.report.micros, outcome.notice), (StageOutcome::Skipped, 0, None));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_probe_tells_which_prefix_the_api_takes() {
    let (server, upstream) = serving(|seen| match seen.header("authorization") {
        Some("Bearer tok-1") => Reply::json(200, json!({})),
        _ => Reply::json(401, json!({"message": "token tok-1 not accepted"})),
    })
    .await;
    let outcome = upstream.api.probe(&talkdesk(), &talkdesk_values(), &token()).await;
    assert_eq!(outcome.report.outcome, StageOutcome::Failed);
    let notice = outcome.notice.unwrap();
    assert_eq!((notice.stage, notice.code), (Stage::Probe, FaultCode::WrongAuthorizationPrefix));
    assert_eq!(notice.summary, "The API of TalkDesk does not take the access token with “Basic”, but takes it with “Bearer”.");
    assert_eq!(notice.remedy, "Edit the credential, and choose “Bearer” as its Authorization prefix.");
    assert_eq!(fields(&notice), ["authorization_prefix"]);
    assert_eq!(notice.service.unwrap().description.as_deref(), Some("token [redacted] not accepted"));
    assert_eq!(server.seen().len(), 2);

    let bearer = with(talkdesk_values(), "authorization_prefix", "Bearer");
    assert_eq!(upstream.api.probe(&talkdesk(), &bearer, &token()).await.notice, None);
}

#[tokio::test]
async fn a_slow_api_holds_a_probe_up_no_longer_than_its_own_time() {
    assert_eq!(Limits::default().probe, Duration::from_secs(5));
    let limits = Limits { probe: Duration::from_millis(1_500), request: Duration::from_secs(600), ..Limits::default() };
    // The first answer, in time, asks for a second request, which gets none.
    let (server, upstream) = serving_within(limits, |seen| match seen.header("authorization") {
        Some("Bearer tok-1") => Reply::Silence,
        _ => Reply::json(401, json!({})),
    })
    .await;
    let (connector, values) = (talkdesk(), talkdesk_values());
    let notice = timeout(PATIENCE, upstream.api.probe(&connector, &values, &token())).await.expect("it ends").notice.unwrap();
    assert_eq!((notice.stage, notice.code), (Stage::Probe, FaultCode::ApiRejected));
    let silent = with(talkdesk_values(), "authorization_prefix", "Bearer");
    let outcome = timeout(PATIENCE, upstream.api.probe(&connector, &silent, &token())).await.expect("it ends");
    assert_eq!(outcome.report.outcome, StageOutcome::Failed);
    let notice = outcome.notice.unwrap();
    assert_eq!((notice.stage, notice.code, notice.blame), (Stage::Probe, FaultCode::TimedOut, Blame::Service));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_probe_that_fails_says_why() {
    for (status, code, blame) in [
        (401, FaultCode::ApiRejected, Blame::Input),
        (403, FaultCode::ApiRejected, Blame::Input),
        (404, FaultCode::NotFound, Blame::Input),
        (302, FaultCode::Redirected, Blame::Input),
        (400, FaultCode::ApiRejected, Blame::Input),
        (429, FaultCode::RateLimited, Blame::Service),
        (503, FaultCode::ServiceError, Blame::Service),
    ] {
        let (_server, upstream) = serving(move |_| Reply::Whole(status, vec![("Retry-After", "700".into())], String::new())).await;
        let outcome = upstream.api.probe(&talkdesk(), &talkdesk_values(), &token()).await;
        let notice = outcome.notice.unwrap();
        assert_eq!((notice.stage, notice.code, notice.blame), (Stage::Probe, code, blame), "{status}");
        assert_eq!(notice.service.unwrap().status, Some(status));
        assert_eq!(notice.retry_after, (status >= 400).then_some(700));
        assert!(status != 429 || notice.remedy.ends_with("Try the API again in 12 minutes."), "{}", notice.remedy);
    }
    let (_server, upstream) = serving(|_| Reply::Cut(String::new())).await;
    let notice = upstream.api.probe(&talkdesk(), &talkdesk_values(), &token()).await.notice.unwrap();
    assert_eq!((notice.stage, notice.blame), (Stage::Probe, Blame::Service));
}
