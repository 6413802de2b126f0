//! Caches the last admission on a client's connection: the key, and the route that was found for it.
//!
//! Most clients send the same kind of request again and again. The admission of the last request on a connection is
//! reused for the next one while its reading of the access epoch is fresh, like any other cache entry.

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

/// The cache of one connection, and how its client gets informational responses.
pub struct Visit {
    last: Mutex<Option<Last>>,
    early: Box<Early>,
}

impl Visit {
    /// Starts with an empty cache.
    pub fn new(early: impl Fn(StatusCode, &HeaderMap) + Send + Sync + 'static) -> Self {
        Self { last: Mutex::new(None), early: Box::new(early) }
    }

    /// Sends an informational response to the client.
    pub fn early(&self) -> &Early {
        &*self.early
    }

    /// Caches the admission of this key, with the reading of the epoch that it is based on.
    pub(super) fn remember(&self, presented: &str, known: &Arc<Known>, reading: Reading) {
        let Some(presented) = ApiKeyText::parse(presented) else { return };
        let last = Last { presented, known: Arc::clone(known), reading };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}

/// The last request: its key, and its admission.
struct Last {
    presented: ApiKeyText,
    known: Arc<Known>,
    reading: Reading,
}

/// The route of a request, and its token slot.
pub(super) struct Known {
    pub(super) key: Arc<KnownKey>,
    pub(super) route: Arc<Route>,
    /// The slot of the credential's token; `None` if no token was held yet.
    pub(super) slot: Option<Arc<Slot>>,
}

impl Service {
    /// The admission of the connection's last request, if it is for the same key and resource and still fresh.
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
