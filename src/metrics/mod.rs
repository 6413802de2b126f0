//! The metrics of one Keytile instance, in the formats that Prometheus reads.
//!
//! Code that does the work holds a handle, and counting is one atomic addition; names are looked up only for
//! a scrape. A label value comes from a fixed list or is a route pattern, never the name or id of a
//! credential, resource or user. The metrics therefore reveal nothing that is stored, and their number stays
//! the same however much is stored.

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
