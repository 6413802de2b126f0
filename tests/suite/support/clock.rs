//! A clock that stands still until a test moves it.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use keytile::domain::time::{Clock, Timestamp};

/// How long after a change of who may do what it holds everywhere.
pub(crate) const HOLDS_WITHIN: Duration = Duration::from_secs(1);

/// Stands at 2025-06-01T12:00:00Z at first.
pub(crate) struct TestClock {
    millis: AtomicI64,
    /// How many milliseconds have passed that the system's clock knows nothing of.
    passed: AtomicU64,
    /// Whoever asks next panics, once.
    pub(crate) breaks: AtomicBool,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { millis: AtomicI64::new(1_748_779_200_000), passed: AtomicU64::new(0), breaks: AtomicBool::new(false) }
    }

    /// Moves it on.
    pub(crate) fn advance(&self, by: Duration) {
        self.jump(i64::try_from(by.as_millis()).unwrap());
    }

    /// Lets so much time pass for what is remembered for a while, whatever the clock shows.
    pub(crate) fn pass(&self, time: Duration) {
        self.passed.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Sets it so many milliseconds forwards, or back.
    pub(crate) fn jump(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        assert!(!self.breaks.swap(false, Ordering::SeqCst), "the clock of this test breaks once");
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn steady(&self, moment: Instant) -> Instant {
        moment + Duration::from_millis(self.passed.load(Ordering::SeqCst))
    }
}
