//! Forwarding requests to APIs with an HTTP/1.1 client of its own (RFC 9112), which streams both bodies.
//!
//! A general-purpose client costs more for each request than all of Keytile's own checks. [`Forwarder::forward`] is
//! the entry point; below it, a `HostPool` keeps connections, a `Lease` is a connection in use, and an `Exchange`
//! is one request with its response.

pub(in crate::upstream) mod connect;
pub(in crate::upstream) mod connection;
pub(in crate::upstream) mod exchange;
pub(in crate::upstream) mod forwarder;
pub(in crate::upstream) mod framing;
pub(in crate::upstream) mod headers;
pub(in crate::upstream) mod pool;
pub(in crate::upstream) mod read_buffer;
mod request;
pub(in crate::upstream) mod request_body;
pub(in crate::upstream) mod response;
pub(in crate::upstream) mod response_head;

pub use self::{
    forwarder::Forwarder,
    request::{ApiHeaders, ApiTarget, Early, Forward, ForwardFault},
    request_body::ForwardBody,
    response::{Answer, AnswerBody},
};
