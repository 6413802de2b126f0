//! The proxy, from a program's HTTP client through a whole Keytile to a service over TLS.

mod clear;
mod egress_policy;
mod messages;
mod refusals;
mod tokens;
mod wire;

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::body::Incoming;
use keytile::service::{
    access::caller::Caller,
    api_keys::{KeyCreation, RawApiKey},
};
use reqwest::{Method, RequestBuilder, header::AUTHORIZATION};

use crate::support::{
    api_server::ApiServer,
    https::{pem, plain_client},
    server::{ADMINISTRATOR, Server, Setup},
    tls::Authority,
};

const HOSTS: [&str; 2] = ["acme.talkdeskid.com", "api.talkdeskapp.com"];

/// A Keytile with one source and one destination of a service that the test decides on, and a key for them.
pub(crate) struct Scene {
    pub(crate) setup: Setup,
    pub(crate) server: Server,
    pub(crate) service: ApiServer,
    pub(crate) client: reqwest::Client,
    pub(crate) credential: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) key: String,
}

impl Scene {
    pub(crate) async fn set<F, A>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::set_with(Setup::new(), handler).await
    }

    pub(crate) async fn set_with<F, A>(setup: Setup, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let authority = Authority::new();
        let service = ApiServer::start(authority.server(&HOSTS), handler).await;
        let file = setup.folder.path().join("authority.pem");
        std::fs::write(&file, pem(&authority.certificate())).unwrap();
        let setup = HOSTS.iter().fold(setup, |setup, host| setup.with(format!("--egress-pin={host}={}", service.address)));
        let setup = setup.with(format!("--extra-ca={}", file.display()));
        let server = setup.start().await;
        let mut browser = server.browser();
        let credential = browser.add_credential("Support").await;
        let source = add_resource(&mut browser, "sources/new/talkdesk", &credential, "Agents", "GET", "/users").await;
        let destination =
            add_resource(&mut browser, "destinations/new/talkdesk", &credential, "Contacts", "POST", "/contacts").await;
        let key = make_key(&server, &["proxy"], &[]).await;
        Self { setup, server, service, client: plain_client(), credential, source, destination, key }
    }

    /// A request to a resource, with the key.
    pub(crate) fn ask(&self, method: Method, resource: &str, path: &str) -> RequestBuilder {
        let url = self.server.address.join(&format!("/proxy/{resource}{path}")).unwrap();
        self.client.request(method, url).header(AUTHORIZATION, format!("Bearer {}", self.key))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, &self.source, path)
    }
}

/// Creates a resource with an endpoint of its own, on the pages of a kind and a connector; its id.
pub(crate) async fn add_resource(
    browser: &mut crate::support::server::Browser,
    pages: &str,
    credential: &str,
    name: &str,
    method: &str,
    path: &str,
) -> String {
    let address = format!("/{pages}/configure?credential={credential}");
    let form = browser.get(&address).await.value("form");
    let typed =
        [("form", form.as_str()), ("name", name), ("endpoint", ""), ("method", method), ("path", path), ("action", "create")];
    let created = browser.post(&address, &typed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    let location = created.location.unwrap();
    let path = location.split('?').next().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

/// Makes an API key of the first administrator.
pub(crate) async fn make_key(server: &Server, scopes: &[&str], resources: &[&str]) -> String {
    let raw = RawApiKey {
        owner: ADMINISTRATOR.into(),
        name: format!("Key {}", scopes.join(" ")),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        restricted: !resources.is_empty(),
        resources: resources.iter().map(|id| (*id).to_owned()).collect(),
        expires: "never".into(),
    };
    let service = &server.service;
    match service.create_api_key(&Caller::server("test"), service.new_form(), &raw).await.unwrap() {
        KeyCreation::Created { key, .. } => key.expose().to_owned(),
        KeyCreation::AlreadyMade(_) => panic!("made before"),
        KeyCreation::Invalid(errors) => panic!("{errors:?}"),
    }
}

/// The code of a problem, after a look at its form.
pub(crate) async fn problem(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{status}");
    assert!(!response.headers().contains_key("x-keytile-upstream"));
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!((body["status"].as_u64(), body["request_id"].as_str()), (Some(u64::from(status)), Some(id.as_str())), "{body}");
    assert!(body["detail"].as_str().unwrap().ends_with('.') && body["title"].is_string(), "{body}");
    (status, body["code"].as_str().unwrap().to_owned())
}
