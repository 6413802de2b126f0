//! The figures of one Keytile, as Prometheus reads them: what is counted, under which names and labels.
//!
//! Whoever does the work holds a handle and adds to it, which is one addition to an atomic number; the names are
//! looked up only when somebody reads. A label is a word out of a list that is known beforehand, or the pattern of a
//! route: never a name or an id of a credential, a resource or a person, so that the figures tell nothing of what is
//! stored, and their number stays the same however much that is.

mod families;
mod histogram;
mod process;
pub mod registry;
mod service;
mod sharded_counter;
mod snapshot;
mod web;

pub use self::registry::{Format, Metrics};
pub use self::{
    histogram::Histogram,
    service::{BrokerMetrics, CacheMetrics, FetchOutcome, VerificationMetrics},
    sharded_counter::Counter,
    snapshot::{Measured, Pool, SpanTotals, TokenCounts},
    web::{ProxyMetrics, RouteMetrics, UnderWay, known_method},
};
