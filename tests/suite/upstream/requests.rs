//! What is sent to a token endpoint: a server that decodes finds what was typed.

use base64::{Engine, prelude::BASE64_STANDARD};
use keytile::domain::credentials::verification::FaultCode;
use serde_json::{Value, json};

use super::*;

/// Secrets and ids that a wrong encoding would change.
const HARD: &[&str] = &["plain", "a+b", "100%", "a&b=c", "a:b", "two  blanks", "ünï©ode ✓", "%2B", "/?#[]@!$'()*,;", HARD_SECRET];

fn client(id: &str, secret: &str, more: &[(&str, &str)]) -> FieldValues {
    let mut fields = vec![
        ("client_id", id),
        ("client_secret", secret),
        ("token_url", "https://id.example.test/token?tenant=1"),
        ("api_base_url", "https://api.example.test"),
    ];
    fields.extend_from_slice(more);
    values(&fields)
}

async fn sent(connector: &Connector, values: &FieldValues) -> Seen {
    let (server, upstream) = serving(|_| Reply::token()).await;
    assert!(upstream.tokens.fetch_token(connector, values, &Unobserved).await.result.is_ok());
    server.seen().pop().unwrap()
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}

fn form_decoded(text: &str) -> String {
    form(format!("x={text}").as_bytes()).pop().unwrap().1
}

/// What stands in the Basic header, not decoded any further.
fn basic(seen: &Seen) -> String {
    let encoded = seen.header("authorization").unwrap().strip_prefix("Basic ").unwrap();
    String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[tokio::test]
async fn the_request_is_the_one_that_the_rfc_asks_for() {
    let seen = sent(&talkdesk(), &talkdesk_values()).await;
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/oauth/token"));
    assert_eq!(seen.header("host"), Some("acme.talkdeskid.com"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("user-agent"), Some(concat!("keytile/", env!("CARGO_PKG_VERSION"))));
    // No scope was given, so none is asked for.
    assert_eq!(form(&seen.body), [pair("grant_type", "client_credentials")]);
    assert!(seen.header("cookie").is_none() && seen.header("referer").is_none());
}

#[tokio::test]
async fn scopes_are_sent_when_there_are_some() {
    let mut values = talkdesk_values();
    values.insert(FieldId::new("scopes").unwrap(), FieldValue::Plain("account:read users:read".into()));
    let seen = sent(&talkdesk(), &values).await;
    assert_eq!(form(&seen.body), [pair("grant_type", "client_credentials"), pair("scope", "account:read users:read")]);
}

#[tokio::test]
async fn a_basic_header_form_encodes_id_and_secret() {
    for hard in HARD {
        let seen = sent(&generic(), &client(hard, hard, &[])).await;
        let decoded = basic(&seen);
        let (id, secret) = decoded.split_once(':').unwrap();
        assert!(decoded.is_ascii());
        assert_eq!((form_decoded(id).as_str(), form_decoded(secret).as_str()), (*hard, *hard));
        assert_eq!(seen.target, "/token?tenant=1");
        assert!(!String::from_utf8_lossy(&seen.body).contains("secret"));
    }
    let seen = sent(&generic(), &client("id:1", "a b+c", &[])).await;
    assert_eq!(basic(&seen), "id%3A1:a+b%2Bc");
}

#[tokio::test]
async fn a_raw_basic_header_leaves_them_as_they_are() {
    for hard in HARD {
        let seen = sent(&generic(), &client("id", hard, &[("basic_encoding", "raw")])).await;
        assert_eq!(basic(&seen), format!("id:{hard}"));
    }
}

#[tokio::test]
async fn a_client_in_the_body_is_nowhere_else() {
    for hard in HARD {
        let seen = sent(&generic(), &client(hard, hard, &[("client_authentication", "body")])).await;
        let expected = [pair("grant_type", "client_credentials"), pair("client_id", hard), pair("client_secret", hard)];
        assert_eq!(form(&seen.body), expected);
        assert!(seen.header("authorization").is_none());
    }
}

#[tokio::test]
async fn a_json_request_holds_the_same() {
    let connector = generic_with("request_format = \"form\"", "request_format = \"json\"");
    for hard in HARD {
        let seen = sent(&connector, &client(hard, hard, &[("client_authentication", "body"), ("scopes", "a b")])).await;
        assert_eq!(seen.header("content-type"), Some("application/json"));
        let expected = json!({"grant_type": "client_credentials", "client_id": hard, "client_secret": hard, "scope": "a b"});
        assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), expected);
    }
}

#[tokio::test]
async fn a_query_request_keeps_the_secret_in_the_header() {
    let text = include_str!("../../../connectors/oauth2-client-credentials.toml")
        .replace("request_format = \"form\"", "request_format = \"query\"")
        .replace("client_auth = \"{client_authentication}\"", "client_auth = \"basic\"");
    let connector = file::read("query.toml", &text).unwrap().connector;
    let seen = sent(&connector, &client("id", HARD_SECRET, &[("scopes", "a b&c")])).await;
    let query = seen.target.split_once('?').unwrap().1;
    let expected = [pair("tenant", "1"), pair("grant_type", "client_credentials"), pair("scope", "a b&c")];
    assert_eq!(form(query.as_bytes()), expected);
    assert_eq!((seen.method.as_str(), seen.header("content-length"), seen.body.len()), ("POST", Some("0"), 0));
}

#[tokio::test]
async fn headers_of_the_connector_are_sent_and_empty_ones_left_out() {
    let headers = "[token.headers]\nX-Client = \"{client_id}\"\nX-Scopes = \"{scopes}\"\nAccept = \"application/vnd.test+json\"\n";
    let connector = generic_with("[token.params]", &format!("{headers}\n[token.params]"));
    let seen = sent(&connector, &client("id-1", "secret", &[])).await;
    assert_eq!(seen.header("x-client"), Some("id-1"));
    assert_eq!(seen.header("x-scopes"), None);
    assert_eq!(seen.header("accept"), Some("application/vnd.test+json"));
}

#[tokio::test]
async fn values_that_make_no_request_fail_in_the_input() {
    let (server, upstream) = serving(|_| Reply::token()).await;
    for (values, field) in [
        (values(&[("client_id", "a"), ("client_secret", "b")]), "account_name"),
        (values(&[("client_id", "a"), ("account_name", "acme")]), "client_secret"),
        (values(&[("client_secret", "a"), ("account_name", "acme")]), "client_id"),
    ] {
        let diagnosis = failure(upstream.tokens.fetch_token(&talkdesk(), &values, &Unobserved).await);
        assert_eq!((diagnosis.stage, diagnosis.code), (Stage::Input, FaultCode::InvalidInput));
        assert_eq!(fields(&diagnosis), [field]);
    }
    let named = client("id", "secret", &[("token_url", "https://user:pass@id.example.test/token")]);
    let diagnosis = failure(upstream.tokens.fetch_token(&generic(), &named, &Unobserved).await);
    assert_eq!((diagnosis.stage, fields(&diagnosis)), (Stage::Input, vec!["token_url"]));
    assert_eq!(server.connections(), 0);
}
