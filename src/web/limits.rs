//! All limits of the server, of size, time and number, in one place.

use std::time::Duration;

/// The most connections, if the system allows that many.
const CONNECTIONS_MAX: usize = 16_384;

/// The limits of the server. Only tests change them, to shorten the times.
#[derive(Debug, Clone)]
pub struct ServingLimits {
    /// Connections at the same time.
    pub connections: usize,
    /// The threads that serve connections.
    pub workers: usize,
    /// Requests in progress. Further ones get 503.
    pub in_flight: usize,
    /// Bodies being received, at most an eighth of them from one client. Requests with further ones get 503.
    pub receiving: usize,
    /// From the start of a connection to the end of its first head, including the TLS handshake; later, from the
    /// first byte of a head to its end.
    pub head: Duration,
    /// Between the end of a response and the next request.
    pub idle: Duration,
    /// Between the end of a response and the moment when an unencrypted connection gives up the buffers of a
    /// request.
    pub rest: Duration,
    /// Between two pieces of a body.
    pub body_piece: Duration,
    /// From the head to the end of the body.
    pub body_whole: Duration,
    /// How long a client may accept no bytes of a response.
    pub write: Duration,
    /// How long incoming bytes are discarded before a connection is closed. Closing it immediately would reset it,
    /// and the client could lose the response that says why.
    pub linger: Duration,
    /// From the stop signal to the moment when new requests on a connection are refused.
    pub last_call: Duration,
    /// From the stop signal to the end of the last response. A Save or a Test takes as long as the service does,
    /// usually less than this.
    pub stopping: Duration,
    /// Between two checks of the certificate's files.
    pub certificate_interval: Duration,
}

/// The largest request head, in bytes: request line and headers.
pub(in crate::web) const HEAD_MAX: usize = 32 * 1024;
/// The largest read or write, in bytes.
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
    /// These limits, with no more connections than the system has file descriptors for. First raises the process's
    /// soft limit to the hard limit; a quarter is reserved for the database, files, and calls to services.
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
