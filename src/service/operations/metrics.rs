//! The metrics for a scraper: counters, and values that are read when they are scraped.

use std::time::Duration;

use tokio::time::timeout;

use super::readiness::PartState;
use crate::{
    domain::credentials::CredentialStatus,
    metrics::{Format, Measured, Metrics, Pool},
    service::Service,
};

/// How long to wait for the database. Metrics without its values are better than none.
const PATIENCE: Duration = Duration::from_secs(2);

impl Service {
    /// Where work is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// All metrics as text.
    pub async fn figures(&self, format: Format) -> String {
        let readiness = self.readiness().await;
        let database_ok = readiness.database == PartState::Ok;
        let failing = if database_ok { self.failing_credentials().await } else { None };
        let pools = self.0.store.connections().into_iter();
        let (in_use, idle) = self.0.upstream.forwarder.kept_connections();
        let measured = Measured {
            database_ok,
            keyring_ok: readiness.keyring == PartState::Ok,
            database: pools.map(|pool| (pool.purpose, Pool { in_use: pool.in_use, idle: pool.idle, most: pool.most })).collect(),
            upstream: Pool { in_use, idle, most: 0 },
            tokens: self.0.broker.counts(self.moment()),
            remembered: vec![
                ("sessions", self.0.sessions.count()),
                ("keys", self.0.keys.count()),
                ("resources", self.0.proxying.count()),
            ],
            spans: self.span_totals(),
            failing,
        };
        self.0.metrics.write(format, &measured)
    }

    async fn failing_credentials(&self) -> Option<Vec<(&'static str, u64)>> {
        let mut counts = Vec::new();
        for status in [CredentialStatus::Rejected, CredentialStatus::Unreachable] {
            // The reason is logged by the readiness check, which asks the database as well.
            let count = timeout(PATIENCE, self.0.store.count_failing_credentials(status)).await.ok()?.ok()?;
            counts.push((status.as_str(), count));
        }
        Some(counts)
    }
}
