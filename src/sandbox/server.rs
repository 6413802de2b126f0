//! The sandbox's TLS listener. Sends each request to the identity or the API router, by its Host header.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, header::HOST},
    response::{IntoResponse as _, Response},
    serve::Listener,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt as _;

use super::{api, api_error::ApiError, hosts::Host, identity, state::State};

const BODY_LIMIT_BYTES: usize = 16 * 1024;
/// How long a client may take for the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Serves until the state says stop, then finishes the requests in progress.
pub(super) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, state: Arc<State>) {
    let stopping = state.stopping.clone();
    let listener = match TlsListener::new(listener, tls, &state) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the sandbox cannot listen"),
    };
    let router = router(&state);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await {
        tracing::error!(%error, "the sandbox stopped");
    }
}

fn router(state: &Arc<State>) -> Router {
    let identity = identity::router(Arc::clone(state));
    let api = api::router(Arc::clone(state));
    let fork = move |request: Request| fork(request, identity.clone(), api.clone());
    Router::new().fallback(fork).layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
}

/// Passes a request to the router for its host, with the [`Host`] in the request's extensions.
async fn fork(mut request: Request, identity: Router, api: Router) -> Response {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    tracing::debug!(host = header, method = %request.method(), path = request.uri().path(), "the sandbox received a request");
    let Some(host) = Host::parse(header) else {
        let description = "This is not a TalkDesk host name.";
        return ApiError::new(StatusCode::MISDIRECTED_REQUEST, "Misdirected request", description).into_response();
    };
    let router = if matches!(host, Host::Api(_)) { api } else { identity };
    request.extensions_mut().insert(host);
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Accepts TLS connections. Handshakes run concurrently, so that a slow client delays no other.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    fn new(listener: TcpListener, tls: Arc<ServerConfig>, state: &State) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (handshaken, ready) = mpsc::channel(16);
        tokio::spawn(state.stopping.clone().run_until_cancelled_owned(accept(listener, TlsAcceptor::from(tls), handshaken)));
        Ok(Self { ready, address })
    }
}

async fn accept(mut listener: TcpListener, acceptor: TlsAcceptor, handshaken: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    loop {
        let (connection, peer) = Listener::accept(&mut listener).await;
        let (acceptor, handshaken) = (acceptor.clone(), handshaken.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(connection)).await {
                // The receiver is only gone while the sandbox is stopping.
                Ok(Ok(stream)) => drop(handshaken.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the sandbox failed"),
                Err(_) => tracing::debug!("a client's TLS handshake with the sandbox took too long"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // There are no more connections; the graceful shutdown ends this wait.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
