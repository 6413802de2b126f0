//! Uses that are not written yet, counted in memory.
//!
//! Counting a use is one lookup in a small map behind a lock with little contention: the threads are spread over
//! several maps. The size of a map is limited; uses that don't fit are dropped, counted, and reported in the log.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    domain::usage::{Tally, Use, UseKey},
    threads::thread_number,
};

/// The number of maps.
const MAPS: usize = 8;
/// The most entries of one map.
const ENTRIES_MAX: usize = 2_000;

/// Uses that are not written yet.
pub(in crate::service) struct Pending {
    maps: [Mutex<HashMap<UseKey, Tally>>; MAPS],
    left_out: AtomicU64,
}

impl Pending {
    pub(in crate::service) fn new() -> Self {
        Self { maps: Default::default(), left_out: AtomicU64::new(0) }
    }

    pub(in crate::service) fn count(&self, one: &Use) {
        self.add(one.key(), &Tally::of(one));
    }

    /// Adds uses that were counted together.
    pub(in crate::service) fn add(&self, key: UseKey, tally: &Tally) {
        let map = &self.maps[thread_number() % MAPS];
        // Every change under the lock is complete before anything can panic.
        let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = map.len() >= ENTRIES_MAX;
        match map.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().add(tally),
            Entry::Vacant(_) if is_full => {
                self.left_out.fetch_add(tally.uses, Ordering::Relaxed);
            }
            Entry::Vacant(place) => {
                place.insert(*tally);
            }
        }
    }

    /// Removes and returns all counts, sorted by key.
    pub(in crate::service) fn take(&self) -> Vec<(UseKey, Tally)> {
        let taken = self.maps.iter().map(|map| std::mem::take(&mut *map.lock().unwrap_or_else(PoisonError::into_inner)));
        let mut all: Vec<(UseKey, Tally)> = taken.flatten().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all.dedup_by(|(key, tally), (same, sum)| {
            let is_same = key == same;
            if is_same {
                sum.add(tally);
            }
            is_same
        });
        all
    }

    /// The number of uses that were dropped since the last call.
    pub(in crate::service) fn take_left_out(&self) -> u64 {
        self.left_out.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        time::Timestamp,
        usage::{Asker, TokenSource, UseAction, UseOutcome},
    };

    fn one(key: u128, at: i64) -> Use {
        Use {
            at: Timestamp::from_millis(at),
            credential: Uuid::from_u128(1),
            resource: Some(Uuid::from_u128(2)),
            asker: Asker::Key(Uuid::from_u128(key)),
            action: UseAction::Request,
            token: TokenSource::Memory,
            outcome: UseOutcome::Answered(200),
            took: Duration::from_millis(20),
        }
    }

    #[test]
    fn what_differs_only_in_its_moment_is_counted_together_for_a_minute() {
        let pending = Pending::new();
        for (key, at) in [(1, 0), (1, 59_999), (1, 60_000), (2, 0)] {
            pending.count(&one(key, at));
        }
        let taken = pending.take();
        let seen: Vec<(i64, u64, i64)> =
            taken.iter().map(|(key, tally)| (key.minute, tally.uses, tally.last_at.as_millis())).collect();
        assert_eq!(seen, [(0, 2, 59_999), (0, 1, 0), (60_000, 1, 60_000)]);
        assert_eq!((taken[0].1.micros, taken[0].1.longest), (40_000, 20_000));
        assert!(pending.take().is_empty());
    }

    #[test]
    fn what_several_threads_count_is_counted_together() {
        let pending = Pending::new();
        thread::scope(|scope| {
            for at in 0..2 * i64::try_from(MAPS).unwrap() {
                let pending = &pending;
                scope.spawn(move || [1, 2].map(|key| pending.count(&one(key, at))));
            }
        });
        let taken = pending.take();
        let seen: Vec<(u64, i64)> = taken.iter().map(|(_, tally)| (tally.uses, tally.last_at.as_millis())).collect();
        assert_eq!(seen, [(2 * MAPS as u64, 2 * MAPS as i64 - 1); 2]);
    }

    #[test]
    fn what_is_held_is_bounded_and_what_is_left_out_is_told() {
        let pending = Pending::new();
        for key in 0..ENTRIES_MAX as u128 + 5 {
            pending.count(&one(key, 0));
        }
        pending.count(&one(0, 0));
        let taken = pending.take();
        assert_eq!((taken.len(), taken[0].1.uses), (ENTRIES_MAX, 2), "what is known is counted on");
        assert_eq!((pending.take_left_out(), pending.take_left_out()), (5, 0));
    }
}
