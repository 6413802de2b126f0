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

/// The API of one credential: where requests go. Cheap to clone.
#[derive(Clone)]
pub struct ApiTarget(pub(super) Arc<Target>);

pub(super) struct Target {
    /// What stands in the `Host` header.
    pub(super) host: HeaderValue,
    /// What paths are appended to: empty, or a path that does not end with `/`.
    pub(super) base: String,
    /// Parameters of the base URL itself.
    pub(super) query: Option<String>,
    pub(super) pool: Arc<HostPool>,
}

/// What each request to an API carries: the authorization, and the headers that the connector names.
pub struct ApiHeaders {
    /// As they are sent.
    pub(super) written: Zeroizing<Vec<u8>>,
    /// Their names: a client's own headers of these names are not passed on.
    pub(super) names: Vec<HeaderName>,
}

/// A request to be forwarded, but for its body.
pub struct Forward<'a> {
    /// Method, query and headers, as they came.
    pub came: &'a Parts,
    /// The settled path, below the base URL.
    pub path: &'a RequestPath<'a>,
    /// The id of the request, which the API is told in `X-Request-Id`.
    pub id: &'a HeaderValue,
    /// Is told what the API says before its answer.
    pub early: &'a Early,
}

/// Is told of an interim answer (RFC 9110 section 15.2), such as early hints: its status, and the headers that may be
/// passed on.
pub type Early = dyn Fn(StatusCode, &HeaderMap) + Send + Sync;

/// Why there is no answer of the API.
#[derive(Debug)]
pub enum ForwardFault {
    /// The API cannot be reached; nothing was sent.
    Unreachable(Box<Diagnosis>),
    /// Too many connections to its host are in use.
    Busy,
    /// No answer began in time.
    TimedOut,
    /// The connection broke before an answer began.
    Broken,
    /// The client sent more than the policy allows.
    BodyTooLarge {
        /// The most bytes that it allows.
        most: u64,
    },
    /// The client's body ended too early, or came too slowly.
    BodyIncomplete,
}
