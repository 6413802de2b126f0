//! How much, how long and how many: every limit of serving, in one place.

use std::time::Duration;

/// The most connections at once, where the system allows that many.
const CONNECTIONS_MAX: usize = 16_384;

/// The limits of serving. Tests shorten the times; nobody else changes them.
#[derive(Debug, Clone)]
pub struct ServingLimits {
    /// Connections at once.
    pub connections: usize,
    /// The threads that serve connections.
    pub workers: usize,
    /// Requests that are being answered at once. Further ones are answered 503.
    pub in_flight: usize,
    /// Bodies that are being received at once, at most an eighth of them from one client. Requests with further ones
    /// are answered 503.
    pub receiving: usize,
    /// From the beginning of a connection to the end of its first head, handshake included for TLS; later, from the
    /// first byte of a head to its end.
    pub head: Duration,
    /// Between the end of an answer and the next request.
    pub idle: Duration,
    /// Between the end of an answer and the moment from which on a connection in the clear is kept without the buffers
    /// that a request needs.
    pub rest: Duration,
    /// From one piece of a body to the next.
    pub body_piece: Duration,
    /// From the head to the end of the body.
    pub body_whole: Duration,
    /// How long a client may take none of an answer.
    pub write: Duration,
    /// How long what still comes in is thrown away before a connection is closed. To close it at once would reset it,
    /// and the client could lose the answer that says why.
    pub linger: Duration,
    /// From the signal to stop to the moment from which on what comes over a connection is too late.
    pub last_call: Duration,
    /// From the signal to stop to the end of the last answer. A Save or a Test takes as long as the service lets it,
    /// most often less than this.
    pub stopping: Duration,
    /// Between two looks at the certificate's files.
    pub certificate_interval: Duration,
}

/// The largest head of a request, in bytes: line and headers.
pub(in crate::web) const HEAD_MAX: usize = 32 * 1024;
/// The largest piece that is read or written at once, in bytes.
pub(in crate::web) const BUFFER_MAX: usize = 64 * 1024;

impl Default for ServingLimits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            in_flight: 1_024,
            receiving: 256,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            rest: Duration::from_millis(400),
            body_piece: Duration::from_secs(10),
            body_whole: Duration::from_secs(30),
            write: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            last_call: Duration::from_millis(100),
            stopping: Duration::from_secs(30),
            certificate_interval: Duration::from_secs(5),
        }
    }
}

impl ServingLimits {
    /// The limits with no more connections than the system has file descriptors for. Raises the soft limit of this
    /// process to the hard one first; a quarter is kept for the database, files, and calls to services.
    #[must_use]
    pub fn within_system(mut self) -> Self {
        match rlimit::increase_nofile_limit(u64::MAX) {
            Ok(descriptors) => {
                let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
                self.connections = self.connections.min(descriptors - descriptors / 4).max(1);
                tracing::debug!(descriptors, connections = self.connections, "set the connection limit");
            }
            Err(error) => tracing::warn!(%error, "could not raise the limit of file descriptors"),
        }
        self
    }
}
