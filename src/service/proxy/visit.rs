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
    domain::{api_key::ApiKeyText, resource::ResourceId, token_state::Moment},
    service::{Service, broker::Slot, key_check::KnownKey, remembered::Reading},
    upstream::Early,
};

/// What is remembered for one connection, and how its client is told what comes before an answer.
pub struct Visit {
    known: Mutex<Option<Known>>,
    early: Box<Early>,
}

impl Visit {
    /// A connection of which nothing is known yet.
    pub fn new(early: impl Fn(StatusCode, &HeaderMap) + Send + Sync + 'static) -> Self {
        Self { known: Mutex::new(None), early: Box::new(early) }
    }

    /// Tells its client what comes before an answer.
    pub fn early(&self) -> &Early {
        &*self.early
    }
}

/// What was found for a request.
struct Known {
    presented: ApiKeyText,
    key: Arc<KnownKey>,
    resource: ResourceId,
    route: Arc<Route>,
    slot: Option<Arc<Slot>>,
    reading: Reading,
}

impl Service {
    /// The same answer as for the last request of a connection, if that may be given.
    pub(super) fn recall(&self, visit: &Visit, key: &str, resource: ResourceId, since: Instant, at: Moment) -> Option<Admitted> {
        let known = visit.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().filter(|known| known.resource == resource)?;
        let is_same = known.presented.expose().as_bytes().ct_eq(key.as_bytes());
        if !bool::from(is_same) || !self.0.epoch.believes(&known.reading, since) || known.key.rejection(at.wall).is_some() {
            return None;
        }
        self.0.metrics.keys.found.inc();
        self.0.metrics.resources.found.inc();
        self.note_use(&known.key, at.wall);
        let Known { key, route, slot, .. } = known;
        Some(Admitted { route: Arc::clone(route), slot: slot.clone(), key: key.identity.id, at })
    }

    /// Remembers what was found in an epoch for the next request of a connection.
    pub(super) fn remember(&self, visit: &Visit, presented: &str, key: Arc<KnownKey>, admitted: &Admitted, reading: Reading) {
        let Some(presented) = ApiKeyText::parse(presented) else { return };
        let Admitted { route, slot, .. } = admitted;
        let known = Known { presented, key, resource: route.resource, route: Arc::clone(route), slot: slot.clone(), reading };
        *visit.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}
