//! Forwarding: a request of a resource goes to the API with the access token, and both bodies stream.
//!
//! Connections go where the guard and the pins allow, over TLS unless a pin says otherwise; here they are kept and used
//! again.
//! HTTP/1.1 towards an API is spoken here too (`exchange`): a client that is made for any use costs more for each
//! request than all that Keytile checks. What is decided here is which connection takes a request, whether it may be sent
//! a second time, and how long anybody is waited for.

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
