//! The registry: holds every metric of the instance and writes them for a scrape.

use prometheus_client::{
    encoding::{prometheus_text, text},
    metrics::family::Family,
    registry::Registry,
};

use super::{
    families::{Counters, Words},
    process::ProcessCollector,
    service::{BrokerMetrics, CacheMetrics, VerificationMetrics},
    snapshot::{Measured, MeasuredMetrics},
    web::{ProxyMetrics, RouteMetrics},
};

/// All figures.
pub struct Metrics {
    registry: Registry,
    /// Requests to Keytile's own pages and API.
    pub routes: RouteMetrics,
    /// Requests through the proxy to services.
    pub proxy: ProxyMetrics,
    pub broker: BrokerMetrics,
    pub verifications: VerificationMetrics,
    /// The cache of sessions.
    pub sessions: CacheMetrics,
    /// The cache of API keys.
    pub keys: CacheMetrics,
    /// The proxy's cache of resources.
    pub resources: CacheMetrics,
    measured: MeasuredMetrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The Prometheus text format, version 0.0.4.
    Text,
}

impl Format {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Metrics {
    /// All at zero.
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

    /// Writes every metric, with the snapshot that was taken for this scrape.
    pub fn write(&self, format: Format, measured: &Measured) -> String {
        self.measured.set(measured);
        let mut written = String::with_capacity(32 * 1024);
        // Writing to a String can't fail.
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
