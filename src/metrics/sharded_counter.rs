//! What each thread has a part of for itself, so that threads that do the same do not wait for each other: where two
//! cores write to the same place in turn, each waits for it longer than all the rest of a count takes.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::{self, Atomic};

use crate::threads::thread_number;

/// How many parts there are. Further threads share those of the first.
pub(super) const PARTS: usize = 8;

/// A number that only grows, as it is read.
pub type Counter = counter::Counter<u64, Spread>;

/// A number in parts.
#[derive(Debug, Default)]
pub struct Spread([Part; PARTS]);

/// As large as what the cores of a processor hand to each other at least, in bytes.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Part(AtomicU64);

/// Adding answers what the part was before, not the whole.
impl Atomic<u64> for Spread {
    fn inc(&self) -> u64 {
        self.inc_by(1)
    }

    fn inc_by(&self, more: u64) -> u64 {
        self.0[thread_number() % PARTS].0.fetch_add(more, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.iter().map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_all_threads_add_is_counted() {
        let counter = Counter::default();
        thread::scope(|scope| {
            for _ in 0..2 * PARTS {
                scope.spawn(|| {
                    for _ in 0..100 {
                        counter.inc();
                    }
                });
            }
        });
        counter.inc_by(5);
        assert_eq!(counter.get(), 2 * PARTS as u64 * 100 + 5);
    }
}
