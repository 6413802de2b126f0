//! Limits how many requests of a resource this instance forwards per minute.
//!
//! A token bucket holds a minute's worth of requests and fills evenly: one burst is let through, and faster
//! requests are refused until there is room again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

use crate::domain::resources::ResourceId;

const MINUTE: Duration = Duration::from_secs(60);
/// How long an unused bucket is kept: by then it is full again.
const UNUSED: Duration = Duration::from_secs(120);
/// The most resources that are counted at the same time.
const ENTRIES: u64 = 100_000;

/// The buckets of all resources with a limit.
pub(super) struct Rates(Cache<ResourceId, Arc<Mutex<Bucket>>>);

#[derive(Debug)]
struct Bucket {
    /// When it will be full if nothing more is taken.
    full_at: Instant,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(ENTRIES).time_to_idle(UNUSED).build())
    }

    /// Counts a request of a resource. The error is the number of seconds until it may be sent.
    pub(super) fn count(&self, resource: ResourceId, per_minute: u32) -> Result<(), u64> {
        let now = Instant::now();
        let bucket = self.0.get_with(resource, || Arc::new(Mutex::new(Bucket { full_at: now })));
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(now, per_minute)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant, per_minute: u32) -> Result<(), u64> {
        // With a limit of 0 nothing is ever sent, and a minute is as good a value as any.
        let each = MINUTE.checked_div(per_minute).ok_or(60_u64)?;
        let full_at = self.full_at.max(now) + each;
        match full_at.saturating_duration_since(now + MINUTE) {
            Duration::ZERO => {
                self.full_at = full_at;
                Ok(())
            }
            wait => Err(wait.as_secs() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_minute_lets_so_many_through_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut bucket = Bucket { full_at: start };
        for _ in 0..60 {
            assert_eq!(bucket.take(start, 60), Ok(()));
        }
        assert_eq!(bucket.take(start, 60), Err(2));
        assert_eq!(bucket.take(start + Duration::from_millis(1_001), 60), Ok(()));
        assert_eq!(bucket.take(start + Duration::from_millis(1_001), 60), Err(1));
        for _ in 0..60 {
            assert_eq!(bucket.take(start + Duration::from_secs(600), 60), Ok(()));
        }
        assert!(bucket.take(start + Duration::from_secs(600), 60).is_err(), "what was not used is not saved up");
        assert_eq!(Bucket { full_at: start }.take(start, 0), Err(60));
    }

    #[test]
    fn each_resource_is_counted_by_itself() {
        let rates = Rates::new();
        assert_eq!(rates.count(Uuid::from_u128(1), 1), Ok(()));
        assert!(rates.count(Uuid::from_u128(1), 1).is_err());
        assert_eq!(rates.count(Uuid::from_u128(2), 1), Ok(()));
    }
}
