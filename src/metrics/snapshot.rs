//! Metrics that aren't counted, but looked up for each scrape.

use std::sync::atomic::Ordering;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::families::Words;

/// The values looked up for one scrape.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Whether the database works.
    pub database_ok: bool,
    /// Whether the keyring opens what is sealed in this database.
    pub keyring_ok: bool,
    /// The database connections, by purpose.
    pub database: Vec<(&'static str, Pool)>,
    /// The connections to the APIs of services.
    pub upstream: Pool,
    /// The tokens in memory.
    pub tokens: TokenCounts,
    /// The number of entries in each cache.
    pub remembered: Vec<(&'static str, u64)>,
    pub spans: SpanTotals,
    /// Stored credentials whose last verification didn't pass, by status; `None` if the database didn't
    /// respond.
    pub failing: Option<Vec<(&'static str, u64)>>,
}

/// A pool of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pool {
    pub in_use: u64,
    pub idle: u64,
    /// The maximum size.
    pub most: u64,
}

/// The states of the credentials that the broker knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// The token is valid and not due for a refresh.
    pub fresh: u64,
    /// The token is usable, but due for a refresh.
    pub due: u64,
    /// There is no usable token, and nothing prevents a fetch.
    pub none: u64,
    /// The service isn't asked again yet, after a failure.
    pub failing: u64,
    /// Fetches in progress.
    pub fetching: u64,
}

/// Spans since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanTotals {
    /// The collector accepted them.
    pub exported: u64,
    /// The buffer was full.
    pub dropped: u64,
    /// The collector didn't accept them.
    pub failed: u64,
}

type Gauges<const N: usize> = Family<Words<N>, Gauge>;

pub(super) struct MeasuredMetrics {
    ready: Gauges<1>,
    database: Gauges<2>,
    database_most: Gauges<1>,
    upstream: Gauges<1>,
    tokens: Gauges<1>,
    fetching: Gauge,
    remembered: Gauges<1>,
    failing: Gauges<1>,
    spans: [Counter; 3],
}

impl MeasuredMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let spans = Family::<Words<1>, Counter>::default();
        let made = Self {
            spans: ["exported", "dropped", "failed"].map(|result| spans.get_or_create(&[("result", result)]).clone()),
            ready: Family::default(),
            database: Family::default(),
            database_most: Family::default(),
            upstream: Family::default(),
            tokens: Family::default(),
            fetching: Gauge::default(),
            remembered: Family::default(),
            failing: Family::default(),
        };
        registry.register("keytile_ready", "1 if this part works, as in /readyz", made.ready.clone());
        registry.register("keytile_database_connections", "Connections to the database", made.database.clone());
        registry.register(
            "keytile_database_connections_max",
            "Maximum number of connections to the database",
            made.database_most.clone(),
        );
        registry.register("keytile_upstream_connections", "Connections to the APIs of services", made.upstream.clone());
        registry.register("keytile_broker_credentials", "Credentials in the token broker's memory, by state", made.tokens.clone());
        registry.register("keytile_broker_fetches_in_flight", "Token fetches in progress", made.fetching.clone());
        registry.register("keytile_cache_entries", "Approximate number of cache entries", made.remembered.clone());
        registry.register("keytile_trace_spans", "Spans for the collector, by result", spans);
        registry.register(
            "keytile_credentials_failing",
            "Stored credentials whose last verification failed; the same on all instances of one database",
            made.failing.clone(),
        );
        made
    }

    pub(super) fn set(&self, measured: &Measured) {
        let set = |gauges: &Gauges<1>, key, word, value: u64| {
            gauges.get_or_create(&[(key, word)]).set(number(value));
        };
        set(&self.ready, "part", "database", u64::from(measured.database_ok));
        set(&self.ready, "part", "keyring", u64::from(measured.keyring_ok));
        for (pool, Pool { in_use, idle, most }) in &measured.database {
            self.database.get_or_create(&[("pool", pool), ("state", "in_use")]).set(number(*in_use));
            self.database.get_or_create(&[("pool", pool), ("state", "idle")]).set(number(*idle));
            set(&self.database_most, "pool", pool, *most);
        }
        set(&self.upstream, "state", "in_use", measured.upstream.in_use);
        set(&self.upstream, "state", "idle", measured.upstream.idle);
        let TokenCounts { fresh, due, none, failing, fetching } = measured.tokens;
        for (state, count) in [("fresh", fresh), ("due", due), ("none", none), ("failing", failing)] {
            set(&self.tokens, "state", state, count);
        }
        self.fetching.set(number(fetching));
        for (kind, count) in &measured.remembered {
            set(&self.remembered, "kind", kind, *count);
        }
        let SpanTotals { exported, dropped, failed } = measured.spans;
        for (counter, total) in self.spans.iter().zip([exported, dropped, failed]) {
            // The exporter counts the spans, so this counter needs no parts. Its value never decreases here
            // either.
            counter.inner().fetch_max(total, Ordering::Relaxed);
        }
        match &measured.failing {
            Some(failing) => failing.iter().for_each(|(status, count)| set(&self.failing, "status", status, *count)),
            // An outdated number would look like a current one.
            None => self.failing.clear(),
        }
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
