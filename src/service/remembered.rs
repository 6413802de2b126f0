//! What is remembered of who may do what, so that a request need not read it again, and for how long.
//!
//! The contract: what was revoked on any instance is not answered any more a second later. Every change of who
//! may do what makes the access epoch grow in its own transaction; an entry is used only in the epoch in which
//! it was read, and the epoch itself is read again after [`TRUSTED`].

use std::{
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

use crate::store::{Store, StoreError};

/// How long the epoch is believed without asking.
const TRUSTED: Duration = Duration::from_millis(500);
/// The most entries of one kind.
const ENTRIES: u64 = 10_000;
/// How long an entry is kept that nobody asks for.
const UNUSED: Duration = Duration::from_secs(600);

/// The access epoch as this instance knows it.
pub(super) struct Epoch {
    /// When the reading began that brought the value. `Instant`, because the clock of a test stands still and
    /// that of a server may be set.
    known: Mutex<Option<(Instant, i64)>>,
    /// Of many that need it at once, one asks.
    asking: tokio::sync::Mutex<()>,
}

impl Epoch {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(None), asking: tokio::sync::Mutex::new(()) }
    }

    /// The epoch, no older than [`TRUSTED`].
    pub(super) async fn current(&self, store: &Store) -> Result<i64, StoreError> {
        match self.trusted() {
            Some(value) => Ok(value),
            // Boxed, because it is rare and large.
            None => Box::pin(self.read(store)).await,
        }
    }

    async fn read(&self, store: &Store) -> Result<i64, StoreError> {
        let _asking = self.asking.lock().await;
        if let Some(value) = self.trusted() {
            return Ok(value);
        }
        let began = Instant::now();
        let value = store.access_epoch().await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((began, value));
        Ok(value)
    }

    /// Asks again at the next call: this instance has just changed something.
    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn trusted(&self) -> Option<i64> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|(began, _)| began.elapsed() < TRUSTED).map(|(_, value)| value)
    }
}

/// Entries that were read in an epoch.
pub(super) struct Remembered<K, V>(Cache<K, (i64, V)>);

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(ENTRIES).time_to_idle(UNUSED).build())
    }

    /// The entry, if it was read in this epoch.
    pub(super) fn get(&self, key: &K, epoch: i64) -> Option<V> {
        self.0.get(key).filter(|(read_in, _)| *read_in == epoch).map(|(_, value)| value)
    }

    /// Keeps an entry that was read after `epoch` had been.
    pub(super) fn put(&self, key: K, epoch: i64, value: V) {
        self.0.insert(key, (epoch, value));
    }

    /// How many entries there are, those of earlier epochs too, more or less.
    pub(super) fn count(&self) -> u64 {
        self.0.entry_count()
    }
}
