//! The API client itself: one request for each method, JSON in and out.
//!
//! See [`super`] for what it must not do with the key.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::api_keys::ApiKeyText;

use super::{address::ServerAddress, fault::ClientError, problem::Problem};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The longest time without receiving anything. Longer than any limit of the server, so that the server gets
/// to say what took too long.
const SILENCE_LIMIT: Duration = Duration::from_secs(90);
/// How often a request with an idempotency key is sent again if no response arrives.
const RESENDS: usize = 2;
const PREFIX: &str = "/api/v1/";

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A Keytile server, and the API key for it.
pub struct Client {
    http: reqwest::Client,
    server: ServerAddress,
    authorization: HeaderValue,
}

/// A successful response of the API.
pub struct Answer {
    /// The revision of the object, for [`Client::delete`].
    pub etag: Option<HeaderValue>,
    /// The JSON as received; empty if there is none.
    pub text: Vec<u8>,
}

impl Answer {
    /// Parses the JSON.
    ///
    /// # Errors
    ///
    /// The JSON isn't what this version of the command line expects.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.text)
            .map_err(|_| ClientError::NotUnderstood("with JSON that this version of keytile does not understand".into()))
    }
}

impl Client {
    /// Over HTTPS the client trusts `authorities`, or the public ones if `authorities` is empty.
    ///
    /// # Errors
    ///
    /// One of the authorities can't be used.
    pub fn new(server: ServerAddress, key: &ApiKeyText, authorities: &[CertificateDer<'static>]) -> Result<Self, ClientError> {
        let unusable = |error: &dyn std::error::Error| ClientError::Setup(error.to_string());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(authorities).map_err(|error| unusable(&error))?)
            .user_agent(concat!("keytile/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT)
            .build()
            .map_err(|error| unusable(&error))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|error| unusable(&error))?;
        authorization.set_sensitive(true);
        Ok(Self { http, server, authorization })
    }

    pub fn server(&self) -> &ServerAddress {
        &self.server
    }

    /// Reads `path`, below `/api/v1/`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, ClientError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(self.http.get(url)).await
    }

    /// Reads a whole list, page by page. Returns the items of all pages.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn all(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, ClientError> {
        #[derive(serde::Deserialize)]
        struct Page {
            items: Vec<Value>,
            next_cursor: Option<String>,
        }
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", "100"));
            query.extend(cursor.iter().map(|cursor| ("cursor", cursor.as_str())));
            let page: Page = self.get(path, &query).await?.read()?;
            items.extend(page.items);
            // A cursor that doesn't move would never end.
            if page.next_cursor.is_none() || page.next_cursor == cursor {
                return Ok(items);
            }
            cursor = page.next_cursor;
        }
    }

    /// Sends `body`, which is JSON, to `path`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn post(&self, path: &str, body: Vec<u8>) -> Result<Answer, ClientError> {
        let request = self.http.post(self.url(path));
        self.answer(if body.is_empty() { request } else { request.header(CONTENT_TYPE, JSON).body(body) }).await
    }

    /// Creates an object at `path` exactly once: if no response arrives, the request is sent again with the
    /// same idempotency `key`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn create(&self, path: &str, body: Vec<u8>, key: &str) -> Result<Answer, ClientError> {
        let mut resends = 0;
        loop {
            let request = self.http.post(self.url(path)).header(CONTENT_TYPE, JSON).header(&IDEMPOTENCY_KEY, key);
            match self.answer(request.body(body.clone())).await {
                Err(ClientError::Broken(_)) if resends < RESENDS => resends += 1,
                answer => return answer,
            }
        }
    }

    /// Deletes `path`, if it still has this revision.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn delete(&self, path: &str, etag: Option<&HeaderValue>) -> Result<(), ClientError> {
        let mut request = self.http.delete(self.url(path));
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, etag);
        }
        self.answer(request).await.map(|_| ())
    }

    fn url(&self, path: &str) -> Url {
        self.server.below(&format!("{PREFIX}{path}"))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let response = self.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.bytes().await.map_err(|error| super::fault::of(&error))?.to_vec();
        refuse(status, &headers, &text)?;
        Ok(Answer { etag: headers.get(ETAG).cloned(), text })
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        request.send().await.map_err(|error| super::fault::of(&error))
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }
}

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Turns an unsuccessful response into an error.
fn refuse(status: StatusCode, headers: &HeaderMap, text: &[u8]) -> Result<(), ClientError> {
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(ClientError::NotUnderstood(format!(
            "with a redirect (status {}), which keytile doesn't follow, to protect the API key",
            status.as_u16()
        )));
    }
    match Problem::read(headers, text) {
        Some(problem) => Err(ClientError::Problem(Box::new(problem))),
        None if status.is_server_error() => Err(ClientError::Unwell(status.as_u16())),
        None => Err(ClientError::NotUnderstood(format!("with status {}, but not the way Keytile does", status.as_u16()))),
    }
}

fn tls(authorities: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    if authorities.is_empty() {
        roots.roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
    }
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
