//! A counter in parts, one for each thread: two cores that take turns writing to the same memory wait for it
//! longer than everything else in a count takes.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::{self, Atomic};

use crate::threads::thread_number;

/// The number of parts. With more threads, some share a part.
pub(super) const PARTS: usize = 8;

/// A counter that only increases.
pub type Counter = counter::Counter<u64, Spread>;

/// The parts of a counter; its value is their sum.
#[derive(Debug, Default)]
pub struct Spread([Part; PARTS]);

/// Fills a cache line of 64 bytes, the unit of memory that cores exchange.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Part(AtomicU64);

/// Adding returns the previous value of one part, not of the sum.
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
