//! The figures of one Keytile, as Prometheus reads them: what is counted, under which names and labels.
//!
//! Whoever does the work holds a handle and adds to it, which is one addition to an atomic number; the names are
//! looked up only when somebody reads. A label is a word out of a list that is known beforehand, or the pattern of a
//! route: never a name or an id of a credential, a resource or a person, so that the figures tell nothing of what is
//! stored, and their number stays the same however much that is.

use prometheus_client::{
    encoding::{prometheus_text, text},
    metrics::family::Family,
    registry::Registry,
};

use super::{
    process::ProcessCollector,
    service::{BrokerMetrics, CacheMetrics, VerificationMetrics},
    sharded_counter::Counter,
    snapshot::{Measured, MeasuredMetrics},
    web::{ProxyMetrics, RouteMetrics},
};

/// Labels with words that are known beforehand.
pub(super) type Words<const N: usize> = [(&'static str, &'static str); N];
/// Numbers that only grow, told apart by such labels.
pub(super) type Counters<const N: usize> = Family<Words<N>, Counter>;

/// All figures.
pub struct Metrics {
    registry: Registry,
    /// Requests of people and of programs to Keytile itself.
    pub routes: RouteMetrics,
    /// Requests of programs to services.
    pub proxy: ProxyMetrics,
    /// Access tokens.
    pub broker: BrokerMetrics,
    /// Verifications of credentials.
    pub verifications: VerificationMetrics,
    /// What is remembered of sessions.
    pub sessions: CacheMetrics,
    /// What is remembered of API keys.
    pub keys: CacheMetrics,
    /// What is remembered of resources, for the proxy.
    pub resources: CacheMetrics,
    measured: MeasuredMetrics,
}

/// How figures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Text,
}

impl Format {
    /// The content type of an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Metrics {
    /// Every figure, at nothing.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        let version = Family::<Words<1>, prometheus_client::metrics::gauge::Gauge>::default();
        version.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("keytile_build_info", "Always 1; the version is a label", version);
        let lookups = Counters::<2>::default();
        registry.register("keytile_cache_lookups", "Lookups in caches whose entries are valid for half a second", lookups.clone());
        Self {
            routes: RouteMetrics::new(&mut registry),
            proxy: ProxyMetrics::new(&mut registry),
            broker: BrokerMetrics::new(&mut registry),
            verifications: VerificationMetrics::new(&mut registry),
            sessions: CacheMetrics::new(&lookups, "sessions"),
            keys: CacheMetrics::new(&lookups, "keys"),
            resources: CacheMetrics::new(&lookups, "resources"),
            measured: MeasuredMetrics::new(&mut registry),
            registry,
        }
    }

    /// Every figure as text, with what was measured just now.
    pub fn write(&self, format: Format, measured: &Measured) -> String {
        self.measured.set(measured);
        let mut written = String::with_capacity(32 * 1024);
        // Writing into a text does not fail.
        let _ = match format {
            Format::OpenMetrics => text::encode(&mut written, &self.registry),
            Format::Text => prometheus_text::encode(&mut written, &self.registry),
        };
        written
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
