//! Counts failed sign-ins: the first few are free, then each one is followed by a wait that doubles.
//!
//! Nobody is locked out for good: the wait is limited, and a day without a failure clears the count.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Failures are forgotten this long after the last one.
pub const COUNTED: Duration = Duration::from_secs(24 * 3_600);
pub const WAIT_MAX: Duration = Duration::from_secs(300);

/// The failures of one account, address or browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    pub count: i64,
    /// No sign-in is tried before this time. In the past if there is no wait.
    pub blocked_until: Timestamp,
    /// When the last failure was counted.
    pub counted_at: Timestamp,
}

impl Failures {
    /// How much longer to wait; `None` if sign-in is allowed.
    ///
    /// A wait above [`WAIT_MAX`] means that the clock was set back, and is ignored.
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let wait = self.blocked_until.since(now);
        (!wait.is_zero() && wait <= WAIT_MAX).then_some(wait)
    }

    /// Counts one more failure. The first wait follows failure number `free`.
    pub fn and_one_more(self, free: i64, now: Timestamp) -> Self {
        let before = if now.since(self.counted_at) >= COUNTED { 0 } else { self.count.max(0) };
        let count = before.saturating_add(1);
        let blocked_until = now.plus(wait_after(count, free));
        Self { count, blocked_until, counted_at: now }
    }
}

/// One second after failure number `free`, doubling with each further one.
fn wait_after(count: i64, free: i64) -> Duration {
    match u32::try_from(count.saturating_sub(free)) {
        Ok(beyond) => Duration::from_secs(1_u64.checked_shl(beyond).unwrap_or(u64::MAX)).min(WAIT_MAX),
        Err(_) if count < free => Duration::ZERO,
        Err(_) => WAIT_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_748_779_200_000);
    const NONE: Failures = Failures { count: 0, blocked_until: Timestamp::from_millis(0), counted_at: Timestamp::from_millis(0) };

    #[test]
    fn five_are_free_and_then_the_wait_doubles_up_to_five_minutes() {
        let mut failures = NONE;
        let mut waits = Vec::new();
        for _ in 0..16 {
            failures = failures.and_one_more(5, NOW);
            waits.push(failures.wait(NOW).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn a_day_without_a_failure_clears_the_count() {
        let many = Failures { count: 90, blocked_until: NOW.plus(WAIT_MAX), counted_at: NOW };
        let almost = NOW.plus(COUNTED - Duration::from_millis(1));
        assert_eq!(many.and_one_more(5, almost).count, 91);
        assert_eq!(many.and_one_more(5, NOW.plus(COUNTED)).count, 1);
        assert_eq!(many.and_one_more(5, NOW.plus(COUNTED)).wait(NOW.plus(COUNTED)), None);
    }

    #[test]
    fn the_wait_ends_at_its_time_and_a_clock_set_back_does_not_prolong_it() {
        let blocked = Failures { count: 5, blocked_until: NOW.plus(Duration::from_secs(1)), counted_at: NOW };
        assert_eq!(blocked.wait(NOW), Some(Duration::from_secs(1)));
        assert_eq!(blocked.wait(NOW.plus(Duration::from_millis(999))), Some(Duration::from_millis(1)));
        assert_eq!(blocked.wait(NOW.plus(Duration::from_secs(1))), None);
        let hour_before = Timestamp::from_millis(NOW.as_millis() - 3_600_000);
        assert_eq!(blocked.wait(hour_before), None);
    }

    proptest! {
        #[test]
        fn whatever_is_stored_the_wait_has_an_end(count: i64, until: i64, at: i64, now: i64, free in 0_i64..100) {
            let stored = Failures {
                count,
                blocked_until: Timestamp::from_millis(until),
                counted_at: Timestamp::from_millis(at),
            };
            let now = Timestamp::from_millis(now);
            prop_assert!(stored.wait(now).is_none_or(|wait| wait <= WAIT_MAX));
            let next = stored.and_one_more(free, now);
            prop_assert!(next.count >= 1);
            prop_assert!(next.wait(now).is_none_or(|wait| wait <= WAIT_MAX));
        }
    }
}
