//! Caches of who may do what, so that requests don't read it from the database each time.
//!
//! The guarantee: a permission that was revoked on any instance is no longer granted a second later. Every change
//! of permissions increments the access epoch in its own transaction. An entry is used only in the epoch in which
//! it was read, and the epoch is read again after [`TRUSTED`].

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::sync::Cache;
use tokio::sync::OwnedMutexGuard;

use crate::{
    domain::time::Clock,
    store::{Store, StoreError},
};

/// How long a reading of the epoch is used.
const TRUSTED: Duration = Duration::from_millis(500);
/// The most entries of one cache.
const ENTRIES: u64 = 10_000;
/// How long an unused entry is kept.
const UNUSED: Duration = Duration::from_secs(600);

/// The access epoch as this instance knows it.
pub(in crate::service) struct Epoch {
    /// Its steady time: the other may be set.
    clock: Arc<dyn Clock>,
    /// When the reading began that brought the value.
    known: Mutex<Option<Reading>>,
    /// The number of the last reading; 0 if it must no longer be used. Separate from the reading, so that checking
    /// it needs no lock.
    latest: AtomicU64,
    /// Held while the epoch is read, so that simultaneous requests cause one reading. Counts the readings.
    asking: tokio::sync::Mutex<u64>,
}

/// One reading of the epoch.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct Reading {
    /// When the reading began.
    began: Instant,
    pub(in crate::service) value: i64,
    /// The number of the reading, counted from 1.
    number: u64,
}

impl Epoch {
    pub(in crate::service) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::new(None), latest: AtomicU64::new(0), asking: tokio::sync::Mutex::new(0) }
    }

    /// The epoch, no older than [`TRUSTED`].
    pub(in crate::service) async fn current(&self, store: &Store) -> Result<i64, StoreError> {
        Ok(self.reading(store).await?.value)
    }

    /// The same as a [`Reading`], for callers that cache something as long as the reading is fresh.
    pub(in crate::service) async fn reading(&self, store: &Store) -> Result<Reading, StoreError> {
        match self.trusted() {
            Some(reading) => Ok(reading),
            // Boxed to keep the hot future small.
            None => Box::pin(self.read(store)).await,
        }
    }

    async fn read(&self, store: &Store) -> Result<Reading, StoreError> {
        let mut readings = self.asking.lock().await;
        if let Some(reading) = self.trusted() {
            return Ok(reading);
        }
        *readings += 1;
        let number = *readings;
        let began = self.clock.steady(Instant::now());
        let reading = Reading { began, value: store.access_epoch().await?, number };
        let mut known = self.known();
        *known = Some(reading);
        self.latest.store(number, Ordering::Release);
        Ok(reading)
    }

    /// Makes the next call read the epoch again, because this instance has just changed something.
    pub(in crate::service) fn forget(&self) {
        let mut known = self.known();
        *known = None;
        self.latest.store(0, Ordering::Release);
    }

    /// True if a reading is still fresh.
    pub(in crate::service) fn believes(&self, reading: &Reading, now: Instant) -> bool {
        self.latest.load(Ordering::Acquire) == reading.number && self.age(reading, now) < TRUSTED
    }

    fn trusted(&self) -> Option<Reading> {
        let known = *self.known();
        known.filter(|reading| self.age(reading, Instant::now()) < TRUSTED)
    }

    fn age(&self, reading: &Reading, now: Instant) -> Duration {
        self.clock.steady(now).saturating_duration_since(reading.began)
    }

    /// Stays locked while `latest` is set, so that the two agree.
    fn known(&self) -> MutexGuard<'_, Option<Reading>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cache whose entries are valid in the epoch in which they were read.
pub(in crate::service) struct Remembered<K, V> {
    entries: Cache<K, (i64, V)>,
    /// Entries that are being read.
    turns: Turns<K>,
}

/// A lock for each entry that is being read or waited for.
type Turns<K> = Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>;

/// The right to read an entry; until it is dropped, nobody else reads it.
pub(in crate::service) struct Turn<'a, K: Hash + Eq> {
    turns: &'a Turns<K>,
    key: K,
    lock: Option<OwnedMutexGuard<()>>,
}

impl<K: Hash + Eq> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        // Released first, so that only those who wait still hold the lock.
        self.lock = None;
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            turns.remove(&self.key);
        }
    }
}

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(in crate::service) fn new() -> Self {
        Self { entries: Cache::builder().max_capacity(ENTRIES).time_to_idle(UNUSED).build(), turns: Mutex::default() }
    }

    /// Waits until nobody else reads the entry. If several callers miss it at the same time, one reads it; the
    /// others must look it up again after waiting.
    pub(in crate::service) async fn turn(&self, key: &K) -> Turn<'_, K> {
        let lock = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(key.clone()).or_default())
        };
        // Created before waiting, so that a cancelled wait doesn't leave the lock behind.
        let mut turn = Turn { turns: &self.turns, key: key.clone(), lock: None };
        turn.lock = Some(lock.lock_owned().await);
        turn
    }

    /// The entry, if it was read in this epoch.
    pub(in crate::service) fn get(&self, key: &K, epoch: i64) -> Option<V> {
        self.entries.get(key).filter(|(read_in, _)| *read_in == epoch).map(|(_, value)| value)
    }

    /// Caches an entry. `epoch` must have been read before the entry.
    pub(in crate::service) fn put(&self, key: K, epoch: i64, value: V) {
        self.entries.insert(key, (epoch, value));
    }

    /// The approximate number of entries, including those of earlier epochs.
    pub(in crate::service) fn count(&self) -> u64 {
        self.entries.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn of_many_who_miss_an_entry_one_reads_it() {
        let (remembered, reads) = (Arc::new(Remembered::<u8, u8>::new()), Arc::new(AtomicUsize::new(0)));
        let asking = (0..100).map(|_| {
            let (remembered, reads) = (Arc::clone(&remembered), Arc::clone(&reads));
            tokio::spawn(async move {
                let _turn = remembered.turn(&1).await;
                if remembered.get(&1, 7).is_none() {
                    reads.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    remembered.put(1, 7, 9);
                }
            })
        });
        for asking in asking.collect::<Vec<_>>() {
            asking.await.unwrap();
        }
        assert_eq!((reads.load(Ordering::Relaxed), remembered.get(&1, 7), remembered.get(&1, 8)), (1, Some(9), None));
        // Neither a cancelled wait nor the last caller leaves a lock behind.
        let held = remembered.turn(&2).await;
        let other = remembered.turn(&3).await;
        assert!(futures_util::FutureExt::now_or_never(remembered.turn(&2)).is_none());
        drop((held, other));
        assert!(remembered.turns.lock().unwrap().is_empty());
    }
}
