//! What is remembered of the program at the other end of a connection: with which key it came, and where it may go.
//!
//! Most programs ask for the same over and over. What was found for the last request of a connection does for the next
//! one, as long as the access epoch of that time is believed: not a moment longer than anything else that is remembered.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use hyper::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;

use super::{Admitted, Route};
use crate::{
    domain::{api_keys::ApiKeyText, resources::ResourceId, tokens::state::Moment},
    service::{Service, access::epoch_cache::Reading, api_keys::authenticate::KnownKey, tokens::broker::Slot},
    upstream::Early,
};

/// What is remembered for one connection, and how its client is told what comes before an answer.
pub struct Visit {
    last: Mutex<Option<Last>>,
    early: Box<Early>,
}

impl Visit {
    /// A connection of which nothing is known yet.
    pub fn new(early: impl Fn(StatusCode, &HeaderMap) + Send + Sync + 'static) -> Self {
        Self { last: Mutex::new(None), early: Box::new(early) }
    }

    /// Tells its client what comes before an answer.
    pub fn early(&self) -> &Early {
        &*self.early
    }

    /// Remembers what was found in an epoch for who presents this key.
    pub(super) fn remember(&self, presented: &str, known: &Arc<Known>, reading: Reading) {
        let Some(presented) = ApiKeyText::parse(presented) else { return };
        let last = Last { presented, known: Arc::clone(known), reading };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}

/// The last request: by which key, and what was found for it.
struct Last {
    presented: ApiKeyText,
    known: Arc<Known>,
    reading: Reading,
}

/// What was found for a request.
pub(super) struct Known {
    pub(super) key: Arc<KnownKey>,
    pub(super) route: Arc<Route>,
    /// Where the token of its credential is held; `None` where it was not held yet.
    pub(super) slot: Option<Arc<Slot>>,
}

impl Service {
    /// The same answer as for the last request of a connection, if that may be given.
    pub(super) fn recall(&self, visit: &Visit, key: &str, resource: ResourceId, since: Instant, at: Moment) -> Option<Admitted> {
        let last = visit.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Last { presented, known, reading } = last.as_ref().filter(|last| last.known.route.resource == resource)?;
        let is_same = presented.expose().as_bytes().ct_eq(key.as_bytes());
        if !bool::from(is_same) || !self.0.epoch.believes(reading, since) || known.key.rejection(at.wall).is_some() {
            return None;
        }
        self.0.metrics.keys.found.inc();
        self.0.metrics.resources.found.inc();
        self.note_use(&known.key, at.wall);
        Some(Admitted { known: Arc::clone(known), at })
    }
}
