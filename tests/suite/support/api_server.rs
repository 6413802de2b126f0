//! A service with a token endpoint and an API, over TLS, whose answers a test decides request by request. Unlike the
//! fault server it speaks HTTP well: connections are kept, bodies stream both ways.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, Response, StatusCode, Uri},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::json;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// The head of a request that the API has seen.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What the token endpoint does.
#[derive(Default)]
struct Tokens {
    issued: AtomicUsize,
    /// Which token the API takes; those before it were revoked.
    valid_from: AtomicUsize,
    /// Answers in place of a token, while there are any.
    instead: Mutex<Option<(u16, serde_json::Value)>>,
}

/// Serves until it is dropped.
pub(crate) struct ApiServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Head>>>,
    connections: Arc<AtomicUsize>,
    tokens: Arc<Tokens>,
    task: JoinHandle<()>,
}

impl ApiServer {
    /// `handler` answers what comes with a token that is valid; 401 is answered otherwise. The token endpoint issues
    /// `tok-1`, `tok-2` and so on, for ten minutes.
    pub(crate) async fn start<F, A>(tls: Arc<ServerConfig>, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let (seen, connections, tokens) = (Arc::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Tokens::default()));
        let shared = (Arc::clone(&seen), Arc::clone(&connections), Arc::clone(&tokens));
        let task = tokio::spawn(async move {
            let (seen, connections, tokens) = shared;
            let acceptor = TlsAcceptor::from(tls);
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, handler, seen, tokens) = (acceptor.clone(), handler.clone(), Arc::clone(&seen), Arc::clone(&tokens));
                open.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (handler, seen, tokens) = (handler.clone(), Arc::clone(&seen), Arc::clone(&tokens));
                        async move { Ok::<_, Infallible>(answer(request, &handler, &seen, &tokens).await) }
                    });
                    // How a connection ends is the client's affair.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, seen, connections, tokens, task }
    }

    /// The requests to the API so far, those with a revoked token too.
    pub(crate) fn seen(&self) -> Vec<Head> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many tokens were issued so far.
    pub(crate) fn issued(&self) -> usize {
        self.tokens.issued.load(Ordering::SeqCst)
    }

    /// From now on the API takes no token that was issued before.
    pub(crate) fn revoke(&self) {
        self.tokens.valid_from.store(self.issued() + 1, Ordering::SeqCst);
    }

    /// Answers this in place of tokens; `None` for tokens again.
    pub(crate) fn issues_instead(&self, answer: Option<(u16, serde_json::Value)>) {
        *self.tokens.instead.lock().unwrap() = answer;
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>, handler: &Handler, seen: &Mutex<Vec<Head>>, tokens: &Tokens) -> Response<Body> {
    if request.uri().path() == "/oauth/token" {
        if let Some((status, body)) = tokens.instead.lock().unwrap().clone() {
            return with_json(status, &body);
        }
        let number = tokens.issued.fetch_add(1, Ordering::SeqCst) + 1;
        return with_json(200, &json!({"access_token": format!("tok-{number}"), "token_type": "Bearer", "expires_in": 600}));
    }
    let head = Head { method: request.method().clone(), uri: request.uri().clone(), headers: request.headers().clone() };
    let number = head.header("authorization").and_then(|value| value.strip_prefix("Basic tok-")).and_then(|text| text.parse().ok());
    seen.lock().unwrap().push(head);
    if number.is_none_or(|number: usize| number < tokens.valid_from.load(Ordering::SeqCst)) {
        // To close the connection before the body has come could take the answer with it.
        let _ = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await;
        return with_json(401, &json!({"message": "no such token"}));
    }
    handler(request).await
}

/// An answer with a JSON text.
pub(crate) fn with_json(status: u16, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}
