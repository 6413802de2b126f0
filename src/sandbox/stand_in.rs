//! Starts and stops the sandbox, and holds the state that its request handlers share.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::pki_types::CertificateDer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{contacts::CreatedContacts, state::State, token::TokenIssuer};
use crate::domain::time::Clock;

/// How long [`Sandbox::stop`] waits for responses in progress.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running sandbox. Stops when dropped; [`Sandbox::stop`] finishes the responses in progress first.
pub struct Sandbox {
    address: SocketAddr,
    ca_pem: String,
    ca_der: CertificateDer<'static>,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Sandbox {
    /// Starts listening on `listen`; port 0 picks a free port. The clock decides when access tokens expire.
    ///
    /// # Errors
    ///
    /// The address can't be used, or no certificate could be created.
    pub async fn start(listen: SocketAddr, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let identity = super::certificate::issue().map_err(io::Error::other)?;
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            tokens: TokenIssuer::new(Arc::clone(&clock)),
            clock,
            contacts: CreatedContacts::default(),
            token_requests: AtomicU64::new(0),
            stopping: CancellationToken::new(),
        });
        let server = tokio::spawn(super::server::serve(listener, identity.server_config, Arc::clone(&state)));
        Ok(Self { address, ca_pem: identity.ca_pem, ca_der: identity.ca_der, state, server })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate authority to trust, in PEM. It can only vouch for TalkDesk host names, and its key was
    /// dropped after it signed the server's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same authority, in DER.
    pub fn ca_der(&self) -> CertificateDer<'static> {
        self.ca_der.clone()
    }

    /// Every host name that it responds for, as patterns in which `*` stands for one label.
    pub const fn host_patterns() -> &'static [&'static str] {
        &super::hosts::PATTERNS
    }

    /// Requests for an access token since the start, including unanswered ones.
    pub fn token_requests(&self) -> u64 {
        self.state.token_requests.load(Ordering::Relaxed)
    }

    /// Accepts no new connections and finishes the responses in progress. The slow account immediately
    /// responds that it's stopping. Returns after 5 seconds at most.
    pub async fn stop(mut self) {
        self.state.stopping.cancel();
        if tokio::time::timeout(STOP_LIMIT, &mut self.server).await.is_err() {
            tracing::warn!("the sandbox still had requests in progress after {} s and dropped them", STOP_LIMIT.as_secs());
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.state.stopping.cancel();
        self.server.abort();
    }
}
