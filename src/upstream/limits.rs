//! How long a call may take, and how much it may bring.

use std::time::Duration;

/// The limits of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time for finding an address, connecting and the TLS handshake together.
    pub connect: Duration,
    /// The time for a whole request, to the last byte of its answer.
    pub request: Duration,
    /// The time for all requests of a probe together. Shorter, because somebody waits for a Save
    /// that the probe can only explain.
    pub probe: Duration,
    /// The most bytes that a token endpoint may answer.
    pub token_answer: usize,
    /// The bytes after which the answer of an API is cut, where it is shown.
    pub api_answer: usize,
    /// The time to the head of an answer to a forwarded request.
    pub first_byte: Duration,
    /// The time from one piece of a forwarded body to the next.
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
