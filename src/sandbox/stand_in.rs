//! A stand-in TalkDesk over real TLS, for trying Keytile and for tests.
//!
//! It answers for every TalkDesk host name on one loopback port, with a certificate authority of its
//! own: the token endpoint of each account and the API of each region. Nothing in Keytile knows that it
//! is there; connections are pinned to it from outside. All it keeps is in memory, and it must never be
//! given real values: the ones that work are public (see [`hints`]).

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

use super::{api::CreatedContacts, token::TokenIssuer};
use crate::domain::time::Clock;

/// How long [`Sandbox::stop`] waits for answers that are under way.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running stand-in. It stops when it is dropped; [`Sandbox::stop`] finishes what is under way first.
pub struct Sandbox {
    address: SocketAddr,
    ca_pem: String,
    ca_der: CertificateDer<'static>,
    state: Arc<State>,
    server: JoinHandle<()>,
}

/// What every request handler can reach.
pub(super) struct State {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tokens: TokenIssuer,
    pub(super) contacts: CreatedContacts,
    pub(super) token_requests: AtomicU64,
    pub(super) stopping: CancellationToken,
}

impl Sandbox {
    /// Starts to listen on `listen` (port 0 chooses a free one). The clock decides when access tokens
    /// expire.
    ///
    /// # Errors
    /// The address cannot be listened on, or no certificate could be made.
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

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate authority to trust, in PEM. It can vouch for TalkDesk host names only, and its
    /// key is gone once the certificate of the server is signed.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate authority to trust, in DER.
    pub fn ca_der(&self) -> CertificateDer<'static> {
        self.ca_der.clone()
    }

    /// Every host name that it answers for, as patterns in which `*` stands for one label.
    pub const fn host_patterns() -> &'static [&'static str] {
        &super::hosts::PATTERNS
    }

    /// How many requests for an access token have arrived since the start, answered or not.
    pub fn token_requests(&self) -> u64 {
        self.state.token_requests.load(Ordering::Relaxed)
    }

    /// Takes no new connection, finishes the answers that are under way (the account that is slow on
    /// purpose answers at once that it is stopping) and returns after 5 seconds at most.
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
