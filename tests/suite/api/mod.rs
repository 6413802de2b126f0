//! The JSON API, from a program's HTTP client through a whole Keytile with the sandbox behind it.

mod conditions;
mod credentials;
mod description;
mod idempotency;
mod keys;
mod lists;
mod problems;
mod resources;
mod rights;
mod tokens;
mod unrecorded;

use keytile::service::{
    access::caller::Caller,
    api_keys::{KeyCreation, RawApiKey},
};
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderMap},
};
use serde_json::{Value, json};

use crate::support::{
    https::plain_client,
    server::{ADMINISTRATOR, Server, Setup},
};

/// The secret that the sandbox takes: it must never come back.
const SECRET: &str = "sandbox-secret";

/// A program with an API key.
#[derive(Clone)]
pub(crate) struct Program {
    client: reqwest::Client,
    address: url::Url,
    key: String,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body, where it is JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn etag(&self) -> &str {
        self.header("etag")
    }

    pub(crate) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id: {} {}", self.status, self.text))
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// It is this problem, in the form that every problem has.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        assert!(self.body["detail"].as_str().unwrap().ends_with('.') && self.body["title"].is_string(), "{}", self.text);
        self
    }

    /// It is a problem of these members, with their codes.
    #[track_caller]
    pub(crate) fn wrong_in(self, status: u16, members: &[(&str, &str)]) -> Self {
        let told: Vec<_> = self.body["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("{}", self.text))
            .iter()
            .map(|error| (error["field"].as_str().unwrap(), error["code"].as_str().unwrap()))
            .collect();
        assert_eq!((self.status, told.as_slice()), (status, members), "{}", self.text);
        self
    }
}

impl Program {
    pub(crate) fn new(server: &Server, key: impl Into<String>) -> Self {
        Self { client: plain_client(), address: server.address.clone(), key: key.into() }
    }

    /// A program with a key of the first administrator.
    pub(crate) async fn with(server: &Server, scopes: &str) -> Self {
        Self::new(server, make_key(server, ADMINISTRATOR, scopes, None).await)
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        let url = self.address.join(path).unwrap();
        let mut request = self.client.request(method, url).header(AUTHORIZATION, format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        answer(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body), &[]).await
    }

    pub(crate) async fn patch(&self, path: &str, etag: &str, body: &Value) -> Answer {
        self.ask(Method::PATCH, path, Some(body), &[("if-match", etag)]).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None, &[]).await
    }

    /// Creates a credential that works, and answers it.
    pub(crate) async fn add_credential(&self, name: &str) -> Answer {
        self.post("/api/v1/credentials", &credential(name)).await.is(201)
    }

    /// Creates a source with this credential, and answers it.
    pub(crate) async fn add_source(&self, name: &str, credential: &str) -> Answer {
        self.post("/api/v1/resources", &source(name, credential)).await.is(201)
    }
}

/// Sends a request and reads what is answered. No answer of the API has the secret in it.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert!(!text.contains(SECRET) && !format!("{headers:?}").contains(SECRET), "{text}");
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, headers, text, body }
}

/// A credential that the sandbox takes.
pub(crate) fn credential(name: &str) -> Value {
    json!({
        "connector": "talkdesk",
        "name": name,
        "description": "Nightly exports",
        "fields": { "client_id": "sandbox-client", "client_secret": SECRET, "account_name": "acme" },
    })
}

/// A source that reads users.
pub(crate) fn source(name: &str, credential: &str) -> Value {
    json!({ "kind": "source", "name": name, "credential": credential, "endpoint": { "method": "GET", "path": "/users" } })
}

/// Makes an API key of somebody, perhaps for some resources only.
pub(crate) async fn make_key(server: &Server, owner: &str, scopes: &str, resources: Option<&[&str]>) -> String {
    let raw = RawApiKey {
        owner: owner.into(),
        name: format!("Key {scopes}"),
        scopes: scopes.split(' ').map(str::to_owned).collect(),
        restricted: resources.is_some(),
        resources: resources.unwrap_or_default().iter().map(|id| (*id).to_owned()).collect(),
        expires: "never".into(),
    };
    let service = &server.service;
    match service.create_api_key(&Caller::server("test"), service.new_form(), &raw).await.unwrap() {
        KeyCreation::Created { key, .. } => key.expose().to_owned(),
        KeyCreation::AlreadyMade(_) => panic!("made before"),
        KeyCreation::Invalid(errors) => panic!("{errors:?}"),
    }
}

/// A Keytile with the sandbox, and a program that may do everything.
async fn start() -> (Setup, Server, Program) {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let program = Program::with(&server, "admin").await;
    (setup, server, program)
}
