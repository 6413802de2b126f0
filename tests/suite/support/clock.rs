//! A clock that stands still until a test moves it.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use keytile::domain::time::{Clock, Timestamp};

/// Stands at 2025-06-01T12:00:00Z at first.
pub(crate) struct TestClock {
    millis: AtomicI64,
    /// The next call panics, once.
    pub(crate) breaks: AtomicBool,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { millis: AtomicI64::new(1_748_779_200_000), breaks: AtomicBool::new(false) }
    }

    /// Moves it on.
    pub(crate) fn advance(&self, by: Duration) {
        self.jump(i64::try_from(by.as_millis()).unwrap());
    }

    /// Moves it by this many milliseconds, forwards or backwards.
    pub(crate) fn jump(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        assert!(!self.breaks.swap(false, Ordering::SeqCst), "the clock of this test breaks once");
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
}
