//! Figures of the work behind requests: tokens, verifications, what is remembered.

use std::time::Duration;

use prometheus_client::registry::Registry;

use super::{Counter, Histogram, registry::Counters, web::call_histogram};
use crate::domain::{
    credentials::{
        CredentialStatus,
        verification::{Stage, Verification},
    },
    tokens::{failure::FailureClass, state::FetchReason},
};

/// How a fetch of a token ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The service issued one.
    Issued,
    /// It issued none.
    Refused(FailureClass),
}

impl FetchOutcome {
    const ALL: [Self; 4] = [
        Self::Issued,
        Self::Refused(FailureClass::Rejected),
        Self::Refused(FailureClass::Limited),
        Self::Refused(FailureClass::Unavailable),
    ];

    /// The word that stands for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused(class) => class.as_str(),
        }
    }
}

/// Access tokens: who asked, and what was fetched.
pub struct BrokerMetrics {
    /// Answered from memory.
    pub from_memory: Counter,
    /// Answered after a wait for a fetch, by whoever began it.
    pub after_wait: Counter,
    /// Not answered with a token.
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

    /// A token was fetched, or was to be.
    pub fn fetched(&self, reason: FetchReason, outcome: FetchOutcome, took: Duration) {
        self.fetches.get_or_create(&labels(reason, outcome)).inc();
        self.took.observe(took);
    }
}

fn labels(reason: FetchReason, outcome: FetchOutcome) -> [(&'static str, &'static str); 2] {
    [("reason", reason.as_str()), ("outcome", outcome.as_str())]
}

/// Verifications of credentials, when they are saved, edited and tested.
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

    /// A verification has ended.
    pub fn ended(&self, verification: &Verification) {
        let labels = [("stage", verification.decided_at().as_str()), ("outcome", verification.status().as_str())];
        self.verifications.get_or_create(&labels).inc();
        self.took.observe(verification.duration());
    }
}

/// Look-ups in one kind of what is remembered.
pub struct CacheMetrics {
    /// It was there.
    pub found: Counter,
    /// It had to be read.
    pub missed: Counter,
}

impl CacheMetrics {
    pub(super) fn new(lookups: &Counters<2>, kind: &'static str) -> Self {
        let counter = |result| lookups.get_or_create(&[("kind", kind), ("result", result)]).clone();
        Self { found: counter("found"), missed: counter("missed") }
    }

    /// Counts a look-up, and hands on what it brought.
    pub fn counted<T>(&self, looked_up: Option<T>) -> Option<T> {
        if looked_up.is_some() {
            self.found.inc()
        } else {
            self.missed.inc()
        };
        looked_up
    }
}
