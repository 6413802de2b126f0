//! A histogram of durations without a lock. The library's own takes a lock for each observation, and every
//! request through the proxy makes one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

use super::sharded_counter::PARTS;
use crate::threads::thread_number;

/// Bucket bounds for requests, from less than a millisecond to some seconds, in nanoseconds.
pub(super) const REQUEST: &[u64] = &[
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// Bucket bounds for requests to a token endpoint, in nanoseconds.
pub(super) const CALL: &[u64] = &[
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
];

/// Cheap to clone; clones share their counts.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    /// In nanoseconds, inclusive.
    bounds: &'static [u64],
    /// Split by thread, so that threads don't wait for each other.
    parts: [Part; PARTS],
}

#[derive(Debug)]
struct Part {
    /// One for each bound, and one for everything above.
    buckets: Box<[AtomicU64]>,
    /// The sum of all durations in nanoseconds. Overflows after five centuries.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        let part = |_| Part { buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) };
        Self(Arc::new(Counts { bounds, parts: std::array::from_fn(part) }))
    }

    /// Counts a duration.
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let Counts { bounds, parts } = &*self.0;
        let bucket = bounds.partition_point(|bound| *bound < nanos);
        let Part { buckets, sum } = &parts[thread_number() % PARTS];
        buckets[bucket].fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let Counts { bounds, parts } = &*self.0;
        let together = |number: &dyn Fn(&Part) -> &AtomicU64| parts.iter().map(|part| number(part).load(Ordering::Relaxed)).sum();
        let upper = bounds.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        let counted: Vec<(f64, u64)> =
            upper.enumerate().map(|(bucket, upper)| (upper, together(&|part| &part.buckets[bucket]))).collect();
        // From the same numbers, so that the last bucket equals the count even while other threads add.
        let count = counted.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(seconds(together(&|part| &part.sum)), count, &counted, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 ns, which are months, nobody looks at single nanoseconds")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{encoding::text, registry::Registry};

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&[1_000_000, 10_000_000]);
        for nanos in [0, 1_000_000, 1_000_001, 9_999_999, 10_000_001, u64::MAX / 4] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let mut registry = Registry::default();
        registry.register("took_seconds", "Trial", histogram);
        let mut written = String::new();
        text::encode(&mut written, &registry).unwrap();
        for line in [
            "took_seconds_bucket{le=\"0.001\"} 2",
            "took_seconds_bucket{le=\"0.01\"} 4",
            "took_seconds_bucket{le=\"+Inf\"} 6",
            "took_seconds_count 6",
        ] {
            assert!(written.lines().any(|written| written == line), "{line} is not in:\n{written}");
        }
    }
}
