//! The broker: provides a valid access token of a credential, from memory, from the database, or from its service.
//!
//! At most one fetch is in progress for each credential: within an instance other callers wait for it, and between
//! instances a lease in the database decides (`fetch`). What to do when is decided in `domain::tokens::state`. The
//! token request is the one that verification makes.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};

pub(in crate::service) use super::slot::Slot;
use super::slot::{Asked, Lost};
use crate::{
    crypto::envelope::Place,
    domain::{
        connectors::Connector,
        credentials::{CredentialId, values::FieldValues, verification::Diagnosis},
        time::Timestamp,
        tokens::{
            failure::FailureClass,
            state::{FetchReason, Moment, TokenTimes},
        },
        usage::TokenSource,
    },
    metrics::TokenCounts,
    service::{Service, ServiceError},
    store::{CredentialRow, NewAccessToken},
    upstream::{ApiHeaders, IssuedToken, Upstream},
};

/// The most credentials whose tokens are held in memory. An evicted one costs a database query.
const HELD: u64 = 10_000;
/// How long the token of an unused credential is held.
const UNUSED: Duration = Duration::from_secs(3_600);
/// How often a caller waits for a fetch that doesn't bring the token it needs.
const TRIES: u32 = 4;

/// What the broker needs of a credential to fetch its tokens: opened once, then shared.
pub(in crate::service) struct Brokered {
    pub(in crate::service) id: CredentialId,
    /// The version of the credential that the values belong to.
    pub(in crate::service) version: i64,
    pub(in crate::service) connector: Arc<Connector>,
    pub(in crate::service) values: FieldValues,
}

/// Where a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum TokenOrigin {
    /// This instance fetched it.
    Fetched(FetchReason),
    /// Another instance fetched it, or this one before it was restarted.
    Adopted,
}

/// A token in use.
pub(in crate::service) struct HeldToken {
    pub(in crate::service) token: SecretString,
    pub(in crate::service) origin: TokenOrigin,
    /// When the service issued it.
    pub(in crate::service) fetched_at: Timestamp,
    /// When it expires, as the service says.
    pub(in crate::service) expires_at: Timestamp,
    /// How long the fetch took; zero if it was adopted.
    pub(in crate::service) took: Duration,
    pub(super) times: TokenTimes,
    /// The headers of requests with this token; created for the first request.
    pub(super) headers: OnceLock<ApiHeaders>,
}

impl HeldToken {
    /// The headers of requests with this token. `credential` must be the one that the token belongs to.
    pub(in crate::service) fn headers(&self, upstream: &Upstream, credential: &Brokered) -> Result<&ApiHeaders, Box<Diagnosis>> {
        if let Some(made) = self.headers.get() {
            return Ok(made);
        }
        let made = upstream.forwarder.api_headers(&credential.connector, &credential.values, &self.token)?;
        Ok(self.headers.get_or_init(|| made))
    }

    /// How long it is still valid.
    pub(in crate::service) fn left(&self, now: Moment) -> Duration {
        self.times.end.left(now)
    }

    /// The source to report: for a caller that found the token, or for one that waited for it.
    fn source(&self, at_hand: bool) -> TokenSource {
        match self.origin {
            _ if at_hand => TokenSource::Memory,
            TokenOrigin::Fetched(reason) => TokenSource::Fetched(reason),
            TokenOrigin::Adopted => TokenSource::Database,
        }
    }

    /// True if the other is the same token, wherever it came from.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.token.expose_secret() == other.token.expose_secret()
    }
}

/// Why there is no token now.
#[derive(Debug, Clone)]
pub struct TokenRefusal {
    /// The kind of failure.
    pub class: FailureClass,
    /// The details, for people who manage the credential.
    pub diagnosis: Arc<Diagnosis>,
    /// How long the service is not asked again.
    pub retry_in: Duration,
}

/// Why a caller got no token.
pub(in crate::service) enum NoToken {
    /// The service issued none.
    Refused(TokenRefusal),
    /// The credential was deleted or has another version: the caller must read it again.
    Gone,
    /// Keytile or its database failed.
    Failed(ServiceError),
}

/// The tokens that this instance holds.
pub(in crate::service) struct Broker {
    slots: Cache<CredentialId, Arc<Slot>>,
    /// The origin of the monotonic clock.
    begun: Instant,
}

impl Broker {
    pub(in crate::service) fn new() -> Self {
        Self { slots: Cache::builder().max_capacity(HELD).time_to_idle(UNUSED).build(), begun: Instant::now() }
    }

    /// Drops the token of a deleted credential.
    pub(in crate::service) fn forget(&self, credential: CredentialId) {
        self.slots.invalidate(&credential);
    }

    /// The slot of this version; `None` if a later version is known already.
    fn slot(&self, credential: CredentialId, version: i64) -> Option<Arc<Slot>> {
        let known = self.slots.get_with(credential, || Arc::new(Slot::new(version, false)));
        if known.version >= version {
            return (known.version == version).then_some(known);
        }
        let entry = self.slots.entry(credential).and_upsert_with(|entry| match entry {
            Some(entry) if entry.value().version >= version => entry.into_value(),
            _ => Arc::new(Slot::new(version, true)),
        });
        Some(entry.into_value()).filter(|slot| slot.version == version)
    }

    /// The number of held credentials, by the state of their token.
    pub(in crate::service) fn counts(&self, now: Moment) -> TokenCounts {
        let mut counts = TokenCounts::default();
        for (_, slot) in &self.slots {
            slot.count_into(&mut counts, now);
        }
        counts
    }

    /// The slot of this version, if it is held.
    fn held(&self, credential: CredentialId, version: i64) -> Option<Arc<Slot>> {
        self.slots.get(&credential).filter(|slot| slot.version == version)
    }
}

impl Service {
    /// The current moment, on both clocks.
    pub(in crate::service) fn moment(&self) -> Moment {
        self.moment_at(Instant::now())
    }

    /// The same for callers that have just read the monotonic clock.
    pub(in crate::service) fn moment_at(&self, now: Instant) -> Moment {
        Moment { wall: self.now(), steady: now.saturating_duration_since(self.0.broker.begun) }
    }

    /// What the broker needs of a stored credential. `None` if its connector no longer exists.
    pub(in crate::service) fn brokered(&self, row: &CredentialRow) -> Result<Option<Arc<Brokered>>, ServiceError> {
        let summary = &row.summary;
        let Some(connector) = self.catalogue().get(summary.connector.as_str()).cloned() else { return Ok(None) };
        let values = self.open_values(summary, &row.secret)?;
        Ok(Some(Arc::new(Brokered { id: summary.id, version: summary.version, connector, values })))
    }

    /// The token of a credential, if one that can be used now is in memory. Never waits. If the token is due for a
    /// refresh, that starts in the background.
    pub(in crate::service) fn token_now(&self, credential: &Arc<Brokered>) -> Option<Arc<HeldToken>> {
        self.token_in(&self.slot_at_hand(credential)?, credential, self.moment())
    }

    /// The slot of a credential, if it is held.
    pub(in crate::service) fn slot_at_hand(&self, credential: &Brokered) -> Option<Arc<Slot>> {
        self.0.broker.held(credential.id, credential.version)
    }

    /// The same as [`token_now`](Self::token_now), for callers that have the slot.
    pub(in crate::service) fn token_in(&self, slot: &Arc<Slot>, credential: &Arc<Brokered>, now: Moment) -> Option<Arc<HeldToken>> {
        let token = self.token_of(slot, credential, now)?;
        self.0.metrics.broker.from_memory.inc();
        Some(token)
    }

    /// The same for callers that may need another token afterwards.
    fn token_at_hand(&self, credential: &Arc<Brokered>) -> Option<Arc<HeldToken>> {
        self.token_of(&self.slot_at_hand(credential)?, credential, self.moment())
    }

    fn token_of(&self, slot: &Arc<Slot>, credential: &Arc<Brokered>, now: Moment) -> Option<Arc<HeldToken>> {
        let (token, flight) = slot.present(now)?;
        if let Some(flight) = flight {
            self.take_off(credential, flight, Duration::ZERO, None);
        }
        Some(token)
    }

    /// A token that can be used now, and for `min_validity` if the service issues tokens that live that long.
    /// `refused` is the token that the service has just rejected with 401; it is replaced once for all callers that
    /// saw it rejected.
    pub(in crate::service) async fn token_for(
        &self,
        credential: &Arc<Brokered>,
        refused: Option<&Arc<HeldToken>>,
        min_validity: Duration,
    ) -> Result<Arc<HeldToken>, NoToken> {
        if refused.is_none()
            && min_validity.is_zero()
            && let Some(token) = self.token_now(credential)
        {
            return Ok(token);
        }
        let mut tries = 0;
        let got = self.wait_for_token(credential, refused, min_validity, &mut tries).await;
        let asked = &self.0.metrics.broker;
        match &got {
            Ok(_) if tries == 0 => asked.from_memory.inc(),
            Ok(_) => asked.after_wait.inc(),
            Err(_) => asked.without_token.inc(),
        };
        got
    }

    async fn wait_for_token(
        &self,
        credential: &Arc<Brokered>,
        refused: Option<&Arc<HeldToken>>,
        min_validity: Duration,
        tries: &mut u32,
    ) -> Result<Arc<HeldToken>, NoToken> {
        loop {
            let slot = self.0.broker.slot(credential.id, credential.version).ok_or(NoToken::Gone)?;
            let mut landing = match slot.ask(self.moment(), min_validity, refused.map(|token| &**token)) {
                Asked::Token(token, flight) => {
                    if let Some(flight) = flight {
                        self.take_off(credential, flight, Duration::ZERO, None);
                    }
                    return Ok(token);
                }
                Asked::Refused(refusal) => return Err(NoToken::Refused(refusal)),
                Asked::Wait(landing) => landing,
                Asked::Begin(flight, landing) => {
                    self.take_off(credential, flight, min_validity, refused.cloned());
                    landing
                }
            };
            *tries += 1;
            let landed = match landing.wait_for(Option::is_some).await {
                Ok(landed) => landed.clone(),
                Err(_) => None,
            };
            match landed {
                Some(Ok(token)) if *tries >= TRIES || refused.is_none_or(|refused| !refused.is(&token)) => return Ok(token),
                // The fetch was for another caller and brought a token that this one can't use, or a token is still
                // there.
                Some(Ok(_)) => {}
                Some(Err(Lost::Refused(_))) if *tries < TRIES => {}
                Some(Err(Lost::Refused(refusal))) => return Err(NoToken::Refused(refusal)),
                Some(Err(Lost::Gone)) => return Err(NoToken::Gone),
                Some(Err(Lost::Failed(error))) => return Err(NoToken::Failed(ServiceError::Shared(error))),
                Some(Err(Lost::Interrupted)) | None => return Err(NoToken::Failed(ServiceError::Interrupted)),
            }
        }
    }

    /// The same, with the source of the token.
    pub(in crate::service) async fn token_and_source(
        &self,
        credential: &Arc<Brokered>,
        refused: Option<&Arc<HeldToken>>,
        min_validity: Duration,
    ) -> Result<(Arc<HeldToken>, TokenSource), NoToken> {
        let at_hand = if refused.is_none() { self.token_at_hand(credential) } else { None };
        if let Some(token) = &at_hand
            && min_validity.is_zero()
        {
            self.0.metrics.broker.from_memory.inc();
            return Ok((Arc::clone(token), TokenSource::Memory));
        }
        let token = self.token_for(credential, refused, min_validity).await?;
        let source = token.source(at_hand.is_some_and(|held| Arc::ptr_eq(&held, &token)));
        Ok((token, source))
    }

    /// Seals and stores a token from a verification, for all instances. Also ends a recorded failure.
    pub(in crate::service) async fn keep_token(
        &self,
        id: CredentialId,
        version: i64,
        token: &IssuedToken,
    ) -> Result<(), ServiceError> {
        let now = self.moment();
        let origin = TokenOrigin::Fetched(FetchReason::Tested);
        let held = held_token(now, token, origin, Duration::ZERO);
        // False if the credential was deleted or changed in the meantime: then there is nothing to keep.
        if self.0.store.put_access_token(id, version, &self.sealed_token(id, version, &held)).await?
            && let Some(slot) = self.0.broker.slot(id, version)
        {
            slot.put(now, Arc::new(held));
        }
        Ok(())
    }

    pub(super) fn sealed_token(&self, id: CredentialId, version: i64, held: &HeldToken) -> NewAccessToken {
        let place = Place::access_token(id, version);
        NewAccessToken {
            sealed: self.0.keyring.seal_packed(&place, held.token.expose_secret().as_bytes()),
            fetched_at: held.fetched_at,
            refresh_at: held.times.refresh_at.wall,
            expires_at: held.expires_at,
        }
    }
}

pub(super) fn held_token(now: Moment, token: &IssuedToken, origin: TokenOrigin, took: Duration) -> HeldToken {
    let times = TokenTimes::issued(now, token.lifetime);
    HeldToken {
        token: token.access_token.clone(),
        origin,
        fetched_at: now.wall,
        expires_at: times.end.wall,
        took,
        times,
        headers: OnceLock::new(),
    }
}
