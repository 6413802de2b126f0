//! Connections to one host that are kept between requests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::body::Outbound;

/// The most connections to one host at once.
const CONNECTIONS_MAX: usize = 1_024;
/// The most of them that wait for a request.
const IDLE_MAX: usize = 256;
/// How long one waits for a request. Servers close theirs after 60 s and more; whoever closes first is not surprised.
const IDLE: Duration = Duration::from_secs(50);
/// The largest piece that is read at once, in bytes. Also about what one slow reader costs.
const BUFFER_MAX: usize = 64 * 1024;

/// The connections to one host and port.
pub(super) struct HostPool {
    host: String,
    port: u16,
    idle: Mutex<VecDeque<Idle>>,
    room: Arc<Semaphore>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Connection {
    sender: SendRequest<Outbound>,
    _permit: OwnedSemaphorePermit,
}

/// A connection in use by one request. Dropped, it is closed, with whatever is under way on it.
pub(super) struct Lease {
    connection: Connection,
    pool: Arc<HostPool>,
}

impl HostPool {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self { host, port, idle: Mutex::default(), room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// A connection that was kept, if there is one that can be used: the one that was used last, so that those which
    /// are not needed grow old.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Lease> {
        loop {
            let Idle { mut connection, since } = self.idle().pop_back()?;
            // The end of the last answer may not have reached the connection's own task yet.
            if since.elapsed() < IDLE && (connection.sender.is_ready() || connection.sender.ready().await.is_ok()) {
                return Some(Lease { connection, pool: Arc::clone(self) });
            }
        }
    }

    /// Waits until there may be one more connection.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            match Arc::clone(&self.room).acquire_owned().await {
                Ok(permit) => return permit,
                // Nobody closes the semaphore.
                Err(_) => std::future::pending::<()>().await,
            }
        }
    }

    /// A new connection over a stream.
    pub(super) async fn lease<S>(self: &Arc<Self>, stream: S, permit: OwnedSemaphorePermit) -> hyper::Result<Lease>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        let (sender, driving) = builder.max_buf_size(BUFFER_MAX).handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told of the error as well.
            if let Err(error) = driving.await {
                tracing::debug!(%error, "a connection to an API ended with an error");
            }
        });
        Ok(Lease { connection: Connection { sender, _permit: permit }, pool: Arc::clone(self) })
    }

    /// Closes what has waited for too long.
    pub(super) fn close_idle(&self) {
        self.idle().retain(|idle| idle.since.elapsed() < IDLE && !idle.connection.sender.is_closed());
    }

    /// How many connections there are, and how many of them wait for a request.
    pub(super) fn counts(&self) -> (u64, u64) {
        ((CONNECTIONS_MAX - self.room.available_permits()) as u64, self.idle().len() as u64)
    }

    /// True while there is no connection, in use or not.
    pub(super) fn is_unused(&self) -> bool {
        self.room.available_permits() == CONNECTIONS_MAX
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Sends a request. The error holds the request where nothing of it was sent.
    pub(super) async fn send(&mut self, request: Request<Outbound>) -> Result<Response<Incoming>, TrySendError<Request<Outbound>>> {
        self.connection.sender.try_send_request(request).await
    }

    /// Gives the connection back: its answer has been read to the end.
    pub(super) fn give_back(self) {
        let Self { connection, pool } = self;
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = pool.idle();
        if idle.len() >= IDLE_MAX {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
    }
}
