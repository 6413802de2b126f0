//! How long a call may take, and how much it may bring.

use std::time::Duration;

/// The limits of a call: times, and sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For finding an address, connecting and the TLS handshake together.
    pub connect: Duration,
    /// For a whole request, to the last byte of its response.
    pub request: Duration,
    /// For all requests of a probe together. Shorter than the others, because someone is waiting for Save, and the
    /// probe can only explain a problem.
    pub probe: Duration,
    /// The largest response of a token endpoint, in bytes.
    pub token_answer: usize,
    /// The size in bytes at which the body of an API response is cut for display.
    pub api_answer: usize,
    /// From the start of a forwarded request to the head of its response.
    pub first_byte: Duration,
    /// Between two pieces of a forwarded body.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(15),
            probe: Duration::from_secs(5),
            token_answer: 64 * 1024,
            api_answer: 1024 * 1024,
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        }
    }
}
