//! A request to be forwarded, and what goes wrong before its response.

use std::sync::Arc;

use hyper::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
    http::request::Parts,
};
use zeroize::Zeroizing;

use super::pool::HostPool;
use crate::domain::{credentials::verification::Diagnosis, resources::request_path::RequestPath};

/// Where the requests of one credential go. Cheap to clone.
#[derive(Clone)]
pub struct ApiTarget(pub(super) Arc<Target>);

pub(super) struct Target {
    /// The value of the `Host` header.
    pub(super) host: HeaderValue,
    /// The path that request paths are appended to: empty, or without a trailing `/`.
    pub(super) base: String,
    /// The query of the base URL.
    pub(super) query: Option<String>,
    pub(super) pool: Arc<HostPool>,
}

/// The headers of every request to an API: the authorization, and those that the connector names.
pub struct ApiHeaders {
    /// Serialized as HTTP/1.1 header lines.
    pub(super) written: Zeroizing<Vec<u8>>,
    /// Their names. A client's own headers with these names are not forwarded.
    pub(super) names: Vec<HeaderName>,
}

/// A request to forward, without its body.
pub struct Forward<'a> {
    /// Method, query and headers of the client's request.
    pub came: &'a Parts,
    /// The normalized path, relative to the base URL.
    pub path: &'a RequestPath<'a>,
    /// The request id, which is sent to the API as `X-Request-Id`.
    pub id: &'a HeaderValue,
    /// Called with each informational response.
    pub early: &'a Early,
}

/// Is told of an interim answer (RFC 9110 section 15.2), such as early hints: its status, and the headers that may be
/// passed on.
pub type Early = dyn Fn(StatusCode, &HeaderMap) + Send + Sync;

/// Why there is no response of the API.
#[derive(Debug)]
pub enum ForwardFault {
    /// The API can't be reached; nothing was sent.
    Unreachable(Box<Diagnosis>),
    /// Too many connections to the host are in use.
    Busy,
    /// No response began in time.
    TimedOut,
    /// The connection broke before a response began.
    Broken,
    /// The client sent more than the egress policy allows.
    BodyTooLarge {
        /// The limit of the policy, in bytes.
        most: u64,
    },
    /// The client's body ended too early, or came too slowly.
    BodyIncomplete,
}
