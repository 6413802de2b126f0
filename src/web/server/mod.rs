//! Takes connections and hands their requests to the router, within limits of time, size and number.
//!
//! A client that sends nothing, or too slowly, costs one small task for a few seconds. The parsing of requests is
//! hyper's; `wire` watches the bytes of a connection beside it, and `connection` decides when to end it.

mod certificate;
mod connection;
mod metrics_listener;
pub mod serve;
mod signal;
mod wire;
mod workers;

pub use self::serve::Server;
#[cfg(any(test, fuzzing))]
pub(crate) use self::wire::fuzz::request_head;
pub use self::{certificate::Certificate, metrics_listener::ScrapeServer, workers::Workers};
pub use super::limits::ServingLimits;
