//! Metrics of the work behind requests: tokens, verifications and caches.

use std::time::Duration;

use prometheus_client::registry::Registry;

use super::{Counter, Histogram, families::Counters, web::call_histogram};
use crate::domain::{
    credentials::{
        CredentialStatus,
        verification::{Stage, Verification},
    },
    tokens::{failure::FailureClass, state::FetchReason},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The service issued a token.
    Issued,
    /// The service issued none.
    Refused(FailureClass),
}

impl FetchOutcome {
    const ALL: [Self; 4] = [
        Self::Issued,
        Self::Refused(FailureClass::Rejected),
        Self::Refused(FailureClass::Limited),
        Self::Refused(FailureClass::Unavailable),
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused(class) => class.as_str(),
        }
    }
}

/// Requests for access tokens, and fetches from services.
pub struct BrokerMetrics {
    /// A cached token was used.
    pub from_memory: Counter,
    /// The request waited for a fetch, whether or not it had started the fetch.
    pub after_wait: Counter,
    /// No token could be provided.
    pub without_token: Counter,
    fetches: Counters<2>,
    took: Histogram,
}

impl BrokerMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (asked, fetches, took) = (Counters::<1>::default(), Counters::<2>::default(), call_histogram());
        let outcome = |word| asked.get_or_create(&[("outcome", word)]).clone();
        let handles = [outcome("memory"), outcome("waited"), outcome("none")];
        for reason in FetchReason::ALL {
            for outcome in FetchOutcome::ALL {
                drop(fetches.get_or_create(&labels(reason, outcome)));
            }
        }
        registry.register(
            "keytile_token_requests",
            "Requests for an access token: it was cached (memory), fetched while they waited, or there was none",
            asked,
        );
        registry.register(
            "keytile_token_fetches",
            "Access tokens that this instance requested from a service, by reason and outcome",
            fetches.clone(),
        );
        registry.register(
            "keytile_token_fetch_duration_seconds",
            "How long a service took to issue or refuse a token",
            took.clone(),
        );
        let [from_memory, after_wait, without_token] = handles;
        Self { from_memory, after_wait, without_token, fetches, took }
    }

    /// Counts a fetch, successful or not.
    pub fn fetched(&self, reason: FetchReason, outcome: FetchOutcome, took: Duration) {
        self.fetches.get_or_create(&labels(reason, outcome)).inc();
        self.took.observe(took);
    }
}

fn labels(reason: FetchReason, outcome: FetchOutcome) -> [(&'static str, &'static str); 2] {
    [("reason", reason.as_str()), ("outcome", outcome.as_str())]
}

/// Verifications when credentials are saved, edited and tested.
pub struct VerificationMetrics {
    verifications: Counters<2>,
    took: Histogram,
}

impl VerificationMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (verifications, took) = (Counters::<2>::default(), call_histogram());
        let stages = Stage::ALL.into_iter().filter(|stage| *stage != Stage::Probe);
        let failed = stages.flat_map(|stage| [(stage, CredentialStatus::Rejected), (stage, CredentialStatus::Unreachable)]);
        for (stage, status) in failed.chain([(Stage::Token, CredentialStatus::Verified)]) {
            drop(verifications.get_or_create(&[("stage", stage.as_str()), ("outcome", status.as_str())]));
        }
        registry.register(
            "keytile_verifications",
            "Verifications when a credential is saved, edited or tested, by deciding stage and outcome",
            verifications.clone(),
        );
        registry.register("keytile_verification_duration_seconds", "How long all stages of a verification took", took.clone());
        Self { verifications, took }
    }

    pub fn ended(&self, verification: &Verification) {
        let labels = [("stage", verification.decided_at().as_str()), ("outcome", verification.status().as_str())];
        self.verifications.get_or_create(&labels).inc();
        self.took.observe(verification.duration());
    }
}

/// Lookups in one cache.
pub struct CacheMetrics {
    /// Hits.
    pub found: Counter,
    /// Misses.
    pub missed: Counter,
}

impl CacheMetrics {
    pub(super) fn new(lookups: &Counters<2>, kind: &'static str) -> Self {
        let counter = |result| lookups.get_or_create(&[("kind", kind), ("result", result)]).clone();
        Self { found: counter("found"), missed: counter("missed") }
    }

    /// Counts a lookup and returns its result.
    pub fn counted<T>(&self, looked_up: Option<T>) -> Option<T> {
        if looked_up.is_some() {
            self.found.inc()
        } else {
            self.missed.inc()
        };
        looked_up
    }
}
