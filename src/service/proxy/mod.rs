//! The proxy: a request of a program goes to the service of a resource, with the access token in place of the API key.
//!
//! Who may send it is decided from memory: the key, the resource with its policy, and the token are remembered, each
//! no longer than the access epoch in which it was read (see `service::remembered`). What is decided is sent by
//! [`send`](self) over `upstream::forward`.

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
