//! Keeps strangers from making Keytile flood the provider or fill the audit trail: few calls at the same time, no
//! call right after one that failed, and a limit of failures for each address.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::{domain::time::Timestamp, upstream::SingleSignOnError};

/// The most calls of each half at the same time.
const AT_ONCE: usize = 16;
/// How long a provider that failed isn't called again.
const PAUSE: Duration = Duration::from_secs(5);
/// The most failed sign-ins of one address within [`WINDOW`].
const FAILURES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// The most addresses that are counted.
const ADDRESSES: u64 = 10_000;

/// The limits of one instance. They need no table, because they protect this instance.
pub(in crate::service) struct Brakes {
    /// Separate from `finishing`, so that people who start don't hold up those who are coming back.
    pub(in crate::service) beginning: Semaphore,
    pub(in crate::service) finishing: Semaphore,
    failure: Mutex<Option<(Timestamp, SingleSignOnError)>>,
    failures: Cache<String, (Timestamp, u32)>,
}

impl Brakes {
    pub(in crate::service) fn new() -> Self {
        let failures = Cache::builder().max_capacity(ADDRESSES).time_to_idle(WINDOW).build();
        Self { beginning: Semaphore::new(AT_ONCE), finishing: Semaphore::new(AT_ONCE), failure: Mutex::new(None), failures }
    }

    /// Why the provider recently failed, if it did.
    pub(in crate::service) fn recent_failure(&self, now: Timestamp) -> Option<SingleSignOnError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|(at, _)| now.since(*at) < PAUSE).map(|(_, error)| error.clone())
    }

    /// Remembers that the provider failed.
    pub(in crate::service) fn failed(&self, now: Timestamp, error: &SingleSignOnError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, error.clone()));
    }

    /// How long an address must wait, if it must.
    pub(in crate::service) fn wait(&self, address: &str, now: Timestamp) -> Option<Duration> {
        let (since, failures) = self.failures.get(address)?;
        if failures >= FAILURES { WINDOW.checked_sub(now.since(since)).filter(|left| !left.is_zero()) } else { None }
    }

    pub(in crate::service) fn count(&self, address: &str, now: Timestamp) {
        self.failures.entry_by_ref(address).and_upsert_with(|counted| match counted.map(|entry| entry.into_value()) {
            Some((since, failures)) if now.since(since) < WINDOW => (since, failures.saturating_add(1)),
            _ => (now, 1),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn an_address_waits_after_twenty_failures_and_no_other_does() {
        let brakes = Brakes::new();
        for _ in 0..FAILURES {
            assert_eq!(brakes.wait("192.0.2.1", at(100)), None);
            brakes.count("192.0.2.1", at(100));
        }
        assert_eq!(brakes.wait("192.0.2.1", at(110)), Some(Duration::from_secs(50)));
        assert_eq!(brakes.wait("192.0.2.2", at(110)), None);
        assert_eq!(brakes.wait("192.0.2.1", at(160)), None);
        brakes.count("192.0.2.1", at(160));
        assert_eq!(brakes.wait("192.0.2.1", at(160)), None, "it is counted anew");
    }

    #[test]
    fn a_provider_that_failed_is_left_alone_for_a_moment() {
        let brakes = Brakes::new();
        assert_eq!(brakes.recent_failure(at(100)), None);
        brakes.failed(at(100), &SingleSignOnError::OtherIssuer);
        assert_eq!(brakes.recent_failure(at(104)), Some(SingleSignOnError::OtherIssuer));
        assert_eq!(brakes.recent_failure(at(105)), None);
    }
}
