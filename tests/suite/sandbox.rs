//! The sandbox, seen from outside: through TLS, with nothing but its authority trusted.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keytile::sandbox::{self, Sandbox};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{clock::TestClock, https, raw::PATIENCE};

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT: &str = "grant_type=client_credentials";
const API: &str = "https://api.talkdeskapp.com";

/// A sandbox of the test's own, and a client that finds every host of it.
struct Stage {
    sandbox: Sandbox,
    clock: Arc<TestClock>,
    client: Client,
}

impl Stage {
    async fn set() -> Self {
        let clock = Arc::new(TestClock::new());
        let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), clock.clone()).await.unwrap();
        let accounts = ["acme", "acme-sales", "beareronly", "slow", "down", "ratelimited", "html", "nobody"];
        let hosts: Vec<String> =
            Sandbox::host_patterns().iter().flat_map(|pattern| accounts.map(|account| pattern.replace('*', account))).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let client = https::client(sandbox.ca_der(), sandbox.address(), &hosts);
        Self { sandbox, clock, client }
    }

    fn token_request(&self, account: &str, authorization: &str, body: &str) -> RequestBuilder {
        let url = format!("https://{account}.talkdeskid.com/oauth/token");
        let request = self.client.post(url).header("content-type", FORM).body(body.to_owned());
        if authorization.is_empty() { request } else { request.header("authorization", authorization) }
    }

    async fn token(&self, account: &str, body: &str) -> String {
        let response = self.token_request(account, &basic("sandbox-client", "sandbox-secret"), body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        json_of(response).await["access_token"].as_str().unwrap().to_owned()
    }

    fn api(&self, method: Method, path: &str, authorization: &str) -> RequestBuilder {
        self.client.request(method, format!("{API}{path}")).header("authorization", authorization)
    }

    async fn get(&self, path: &str, authorization: &str) -> Response {
        self.api(Method::GET, path, authorization).send().await.unwrap()
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn the_documented_values_get_a_token_of_ten_minutes() {
    let stage = Stage::set().await;
    let hints = sandbox::hints("talkdesk").unwrap();
    let values = |field| hints.values.iter().find(|(named, _)| *named == field).unwrap().1;
    let authorization = basic(values("client_id"), values("client_secret"));

    let response = stage.token_request(values("account_name"), &authorization, GRANT).send().await.unwrap();

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "pragma"), "no-cache");
    let body = json_of(response).await;
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 600);
    assert_eq!(body["scope"], "account:read contacts:read contacts:write users:read");
    assert_eq!(stage.sandbox.token_requests(), 1);
}

#[test]
fn every_hint_names_a_field_of_its_connector() {
    for id in ["talkdesk", "oauth2-client-credentials"] {
        let path = format!("{}/connectors/{id}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let toml: toml::Table = text.parse().unwrap();
        let fields: Vec<&str> = toml["field"].as_array().unwrap().iter().map(|field| field["id"].as_str().unwrap()).collect();
        let hints = sandbox::hints(id).unwrap();
        let hinted = hints.values.iter().map(|(field, _)| *field);
        for field in hinted.chain(Some(hints.behaviour_field).filter(|field| !field.is_empty())) {
            assert!(fields.contains(&field), "{id} has no field {field}");
        }
    }
}

#[tokio::test]
async fn client_authentication_in_the_body_works_but_not_beside_a_header() {
    let stage = Stage::set().await;
    let body = format!("{GRANT}&client_id=sandbox-client&client_secret=sandbox-secret");

    let alone = stage.token_request("acme", "", &body).send().await.unwrap();
    assert_eq!(alone.status(), StatusCode::OK);

    let both = stage.token_request("acme", &basic("sandbox-client", "sandbox-secret"), &body).send().await.unwrap();
    assert_eq!(both.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(both).await["error"], "invalid_request");
}

#[tokio::test]
async fn id_and_secret_in_the_header_are_form_decoded() {
    let stage = Stage::set().await;
    let encoded = stage.token_request("acme", &basic("sandbox%2Dclient", "%73andbox-secret"), GRANT).send().await.unwrap();
    assert_eq!(encoded.status(), StatusCode::OK);
    let broken = stage.token_request("acme", &basic("sandbox-client", "sandbox%2"), GRANT).send().await.unwrap();
    assert_eq!(broken.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_client_is_refused_as_rfc_6749_says() {
    let stage = Stage::set().await;
    let wrong = [
        basic("sandbox-client", "wrong"),
        basic("somebody", "sandbox-secret"),
        "Basic %%%".into(),
        "Bearer sandbox-secret".into(),
        String::new(),
    ];
    for authorization in wrong {
        let response = stage.token_request("acme", &authorization, GRANT).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{authorization}");
        assert!(header(&response, "www-authenticate").starts_with("Basic realm="), "{authorization}");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(json_of(response).await["error"], "invalid_client", "{authorization}");
    }
}

#[tokio::test]
async fn a_wrong_token_request_is_refused_with_the_error_of_rfc_6749() {
    let stage = Stage::set().await;
    let wrong = [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&scope=users%3Aread+everything", "invalid_scope"),
    ];
    let authorization = basic("sandbox-client", "sandbox-secret");
    for (body, error) in wrong {
        let response = stage.token_request("acme", &authorization, body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(json_of(response).await["error"], error, "{body}");
    }

    let as_json = stage.client.post("https://acme.talkdeskid.com/oauth/token").header("authorization", authorization);
    let as_json = as_json.header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(json_of(as_json).await["error"], "invalid_request");

    let by_get = stage.client.get("https://acme.talkdeskid.com/oauth/token").send().await.unwrap();
    assert_eq!(by_get.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&by_get, "allow"), "POST");
}

#[tokio::test]
async fn accounts_misbehave_as_their_hints_say() {
    let stage = Stage::set().await;
    let ask = async |account| stage.token_request(account, &basic("a", "b"), GRANT).send().await.unwrap();

    let unknown = ask("nobody").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(json_of(unknown).await["message"], "Account not found");

    let down = ask("down").await;
    assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_of(down).await["error"], "temporarily_unavailable");

    let limited = ask("ratelimited").await;
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&limited, "retry-after"), "30");

    let html = ask("html").await;
    assert_eq!(html.status(), StatusCode::OK);
    assert_eq!(header(&html, "content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn the_slow_account_is_silent_and_does_not_hold_up_a_stop() {
    let stage = Stage::set().await;
    let request = stage.token_request("slow", &basic("sandbox-client", "sandbox-secret"), GRANT);
    let answer = tokio::spawn(request.send());
    while stage.sandbox.token_requests() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished());

    tokio::time::timeout(PATIENCE, stage.sandbox.stop()).await.expect("stops although a request is under way");

    let response = answer.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let refused = stage.client.get(format!("{API}/account")).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
}

#[tokio::test]
async fn the_api_takes_a_token_after_basic_and_after_bearer() {
    let stage = Stage::set().await;
    let token = stage.token("acme-sales", GRANT).await;
    for authorization in [format!("Basic {token}"), format!("bearer {token}")] {
        let response = stage.get("/account", &authorization).await;
        assert_eq!(response.status(), StatusCode::OK, "{authorization}");
        assert_eq!(json_of(response).await["name"], "acme-sales");
    }

    let token = stage.token("beareronly", GRANT).await;
    assert_eq!(stage.get("/account", &format!("Basic {token}")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(stage.get("/account", &format!("Bearer {token}")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_api_refuses_what_is_no_token_of_its_own() {
    let stage = Stage::set().await;
    let token = stage.token("acme", GRANT).await;
    for authorization in ["Basic", "Basic nothing", &format!("Digest {token}"), &token, &format!("Basic {token}x")] {
        let response = stage.get("/users", authorization).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{authorization}");
        assert!(header(&response, "www-authenticate").starts_with("Bearer"));
        let body = json_of(response).await;
        assert_eq!(body["message"], "Unauthorized");
        assert!(body["code"].is_string() && body["description"].is_string());
    }

    let elsewhere = stage.client.get("https://api.talkdeskapp.eu/users").header("authorization", format!("Basic {token}"));
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_expires_by_the_clock_and_outlives_a_restart() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", GRANT).await);
    let restarted = Stage::set().await;
    assert_eq!(restarted.get("/account", &authorization).await.status(), StatusCode::OK);

    stage.clock.advance(Duration::from_millis(599_999));
    assert_eq!(stage.get("/account", &authorization).await.status(), StatusCode::OK);
    stage.clock.advance(Duration::from_millis(1));
    assert_eq!(stage.get("/account", &authorization).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_allows_no_more_than_its_scopes() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", &format!("{GRANT}&scope=users%3Aread")).await);
    assert_eq!(stage.get("/users", &authorization).await.status(), StatusCode::OK);
    let refused = stage.get("/contacts", &authorization).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(json_of(refused).await["description"].as_str().unwrap().contains("contacts:read"));
}

#[tokio::test]
async fn following_next_finds_every_user_once() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", GRANT).await);
    let mut next = Some("/users?per_page=50".to_owned());
    let (mut ids, mut counts) = (Vec::new(), Vec::new());
    while let Some(path) = next {
        let body = json_of(stage.get(&path, &authorization).await).await;
        let users = body["_embedded"]["users"].as_array().unwrap();
        ids.extend(users.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
        counts.push(body["count"].as_u64().unwrap());
        assert_eq!(body["total"], 120);
        next = body["_links"]["next"]["href"].as_str().map(|href| href.strip_prefix(API).unwrap().to_owned());
    }
    assert_eq!(counts, [50, 50, 20]);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 120);

    let one = json_of(stage.get(&format!("/users/{}", ids[7]), &authorization).await).await;
    assert_eq!(one["id"], *ids[7]);
}

#[tokio::test]
async fn a_page_beyond_the_end_is_empty_and_a_wrong_one_is_refused() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", GRANT).await);

    let beyond = json_of(stage.get("/contacts?page=99&per_page=50", &authorization).await).await;
    assert_eq!((&beyond["count"], &beyond["total"]), (&json!(0), &json!(60)));
    assert!(beyond["_links"].get("next").is_none());
    let far_beyond = stage.get(&format!("/contacts?page={}&per_page=100", usize::MAX), &authorization).await;
    assert_eq!(json_of(far_beyond).await["count"], 0);

    for query in ["page=0", "per_page=0", "per_page=101", "page=two", "page=-1"] {
        let response = stage.get(&format!("/users?{query}"), &authorization).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(json_of(response).await["message"], "Invalid page", "{query}");
    }
}

#[tokio::test]
async fn a_created_contact_is_at_the_front_of_the_list_of_its_account_alone() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", GRANT).await);
    let new = json!({"name": "Keytile test contact", "emails": ["test@example.com"], "extra": 1}).to_string();

    let response = stage.api(Method::POST, "/contacts", &authorization).body(new).send().await.unwrap();

    assert_eq!(response.status(), StatusCode::CREATED);
    let location = header(&response, "location").to_owned();
    let created = json_of(response).await;
    assert_eq!(created["_links"]["self"]["href"], *location);
    assert_eq!(created["created_at"], "2025-06-01T12:00:00Z");
    let found = json_of(stage.get(location.strip_prefix(API).unwrap(), &authorization).await).await;
    assert_eq!(found, created);
    let list = json_of(stage.get("/contacts", &authorization).await).await;
    assert_eq!((&list["total"], &list["_embedded"]["contacts"][0]), (&json!(61), &created));

    let other = format!("Basic {}", stage.token("acme-sales", GRANT).await);
    assert_eq!(json_of(stage.get("/contacts", &other).await).await["total"], 60);
}

#[tokio::test]
async fn created_contacts_do_not_grow_without_end() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", GRANT).await);
    for number in 0..205 {
        let new = json!({"name": format!("Number {number}")}).to_string();
        let response = stage.api(Method::POST, "/contacts", &authorization).body(new).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    let list = json_of(stage.get("/contacts", &authorization).await).await;
    assert_eq!((&list["total"], &list["_embedded"]["contacts"][0]["name"]), (&json!(260), &json!("Number 204")));
}

#[tokio::test]
async fn what_is_no_contact_is_refused_with_a_reason() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", GRANT).await);
    for (body, reason) in [
        ("", "not a contact"),
        ("[]", "not a contact"),
        (r#"{"emails": []}"#, "name"),
        (r#"{"name": " "}"#, "name"),
        (r#"{"name": "A", "emails": ["nowhere"]}"#, "nowhere"),
    ] {
        let response = stage.api(Method::POST, "/contacts", &authorization).body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        let answer = json_of(response).await;
        assert!(answer["description"].as_str().unwrap().contains(reason), "{body}: {answer}");
    }
    let long = stage.api(Method::POST, "/contacts", &authorization).body(" ".repeat(20_000)).send().await.unwrap();
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn other_paths_methods_and_hosts_are_refused_in_json() {
    let stage = Stage::set().await;
    let authorization = format!("Basic {}", stage.token("acme", GRANT).await);
    for path in ["/nothing", "/users/none", "/contacts/none", "/oauth/token"] {
        let response = stage.get(path, &authorization).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json_of(response).await["message"], "Not found", "{path}");
    }

    let response = stage.api(Method::DELETE, "/users", &authorization).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(header(&response, "allow").contains("GET"));
    assert_eq!(json_of(response).await["message"], "Method not allowed");

    let account_host = stage.client.get("https://acme.talkdeskid.com/users").send().await.unwrap();
    assert_eq!(account_host.status(), StatusCode::NOT_FOUND);
    let misdirected = stage.client.get(format!("{API}/account")).header("host", "example.com").send().await.unwrap();
    assert_eq!(misdirected.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn every_host_has_a_certificate_and_no_other_has() {
    let stage = Stage::set().await;
    for pattern in Sandbox::host_patterns() {
        let url = format!("https://{}/oauth/token", pattern.replace('*', "acme"));
        let response = stage.client.get(&url).send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let api = pattern.starts_with("api.");
        assert_eq!(response.status().as_u16(), if api { 404 } else { 405 }, "{url}");
    }
    let elsewhere = https::client(stage.sandbox.ca_der(), stage.sandbox.address(), &["example.com"]);
    let error = elsewhere.get("https://example.com/").send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn the_authority_is_given_in_pem_and_in_der_alike() {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let stage = Stage::set().await;
    let from_pem = CertificateDer::from_pem_slice(stage.sandbox.ca_pem().as_bytes()).unwrap();
    assert_eq!(from_pem, stage.sandbox.ca_der());
}
