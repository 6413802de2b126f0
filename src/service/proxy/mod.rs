//! The proxy: forwards an API client's request to the service of a resource, with the access token in place of the
//! API key.
//!
//! `admit` decides from memory who may send it, `send` sends it with [`Upstream`](crate::upstream::Upstream). The
//! proxy never changes a body, and stores neither requests nor responses.

pub mod admit;
mod connection_cache;
mod rate_limit;
mod send;

pub use self::admit::{Admission, Admitted, Refused, Route};
pub use self::{
    connection_cache::Visit,
    send::{ProxyBody, ProxyFault, Sent},
};

// What the proxy of `web` hands in and gets back belongs to the client of HTTP/1.1 below.
pub use crate::upstream::{AnswerBody, Forward, ForwardFault};
