//! The broker: a valid access token of a credential, from memory, from the database, or from its service.
//!
//! However many ask, one fetch is under way for a credential: within an instance those who ask wait for it, and
//! between instances a lease in the database decides (`fetch`). What to do when is decided in `domain::token_state`.
//! The token request is the one that verification makes.

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

/// Of how many credentials tokens are held in memory. One that is pushed out costs a look into the database.
const HELD: u64 = 10_000;
/// After which time a credential that nobody uses is no longer held.
const UNUSED: Duration = Duration::from_secs(3_600);
/// How often somebody waits for a fetch that did not bring what they need.
const TRIES: u32 = 4;

/// What the broker needs of a credential to get tokens for it: opened once, then shared.
pub(in crate::service) struct Brokered {
    pub(in crate::service) id: CredentialId,
    /// Of which version of it the values are.
    pub(in crate::service) version: i64,
    pub(in crate::service) connector: Arc<Connector>,
    pub(in crate::service) values: FieldValues,
}

/// Where a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum TokenOrigin {
    /// This instance fetched it.
    Fetched(FetchReason),
    /// Another instance fetched it, or this one before it was started again.
    Adopted,
}

/// A token in use.
pub(in crate::service) struct HeldToken {
    pub(in crate::service) token: SecretString,
    pub(in crate::service) origin: TokenOrigin,
    /// When the service issued it.
    pub(in crate::service) fetched_at: Timestamp,
    /// Its end, as the service named it.
    pub(in crate::service) expires_at: Timestamp,
    /// How long the fetch took; zero for one that was adopted.
    pub(in crate::service) took: Duration,
    pub(super) times: TokenTimes,
    /// What requests carry that are sent with it; made for the first of them.
    pub(super) headers: OnceLock<ApiHeaders>,
}

impl HeldToken {
    /// What requests carry that are sent with it, where it is one of this credential.
    pub(in crate::service) fn headers(&self, upstream: &Upstream, credential: &Brokered) -> Result<&ApiHeaders, Box<Diagnosis>> {
        if let Some(made) = self.headers.get() {
            return Ok(made);
        }
        let made = upstream.forwarder.api_headers(&credential.connector, &credential.values, &self.token)?;
        Ok(self.headers.get_or_init(|| made))
    }

    /// How long it lives from now on.
    pub(in crate::service) fn left(&self, now: Moment) -> Duration {
        self.times.end.left(now)
    }

    /// Where it came from for somebody who finds it at hand, or who waited for it.
    fn source(&self, at_hand: bool) -> TokenSource {
        match self.origin {
            _ if at_hand => TokenSource::Memory,
            TokenOrigin::Fetched(reason) => TokenSource::Fetched(reason),
            TokenOrigin::Adopted => TokenSource::Database,
        }
    }

    /// Whether another is the same token, wherever it came from.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.token.expose_secret() == other.token.expose_secret()
    }
}

/// Why there is no token now.
#[derive(Debug, Clone)]
pub struct TokenRefusal {
    /// How the service refuses.
    pub class: FailureClass,
    /// Why, for who manages the credential.
    pub diagnosis: Arc<Diagnosis>,
    /// For how long the service is left alone.
    pub retry_in: Duration,
}

/// Why somebody who asked got no token.
pub(in crate::service) enum NoToken {
    /// The service issued none.
    Refused(TokenRefusal),
    /// The credential is deleted or has another version: whoever asked reads it again.
    Gone,
    /// Keytile or its database failed.
    Failed(ServiceError),
}

/// The tokens that this instance holds.
pub(in crate::service) struct Broker {
    slots: Cache<CredentialId, Arc<Slot>>,
    /// The beginning of the time that only goes on.
    begun: Instant,
}

impl Broker {
    pub(in crate::service) fn new() -> Self {
        Self { slots: Cache::builder().max_capacity(HELD).time_to_idle(UNUSED).build(), begun: Instant::now() }
    }

    /// Lets go of what is held of a credential that was deleted.
    pub(in crate::service) fn forget(&self, credential: CredentialId) {
        self.slots.invalidate(&credential);
    }

    /// The slot of this version; `None` when a later one is known already.
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

    /// How the credentials are that are held.
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
    /// The present moment, by both clocks.
    pub(in crate::service) fn moment(&self) -> Moment {
        self.moment_at(Instant::now())
    }

    /// The same for who has just read the clock that only goes on.
    pub(in crate::service) fn moment_at(&self, now: Instant) -> Moment {
        Moment { wall: self.now(), steady: now.saturating_duration_since(self.0.broker.begun) }
    }

    /// What the broker needs of a stored credential. `None` when its connector is no longer known.
    pub(in crate::service) fn brokered(&self, row: &CredentialRow) -> Result<Option<Arc<Brokered>>, ServiceError> {
        let summary = &row.summary;
        let Some(connector) = self.catalogue().get(summary.connector.as_str()).cloned() else { return Ok(None) };
        let values = self.open_values(summary, &row.secret)?;
        Ok(Some(Arc::new(Brokered { id: summary.id, version: summary.version, connector, values })))
    }

    /// The token of a credential, if there is one in memory that can be used now. Waits for nothing. Where the token is
    /// due to be replaced, that begins in the background.
    pub(in crate::service) fn token_now(&self, credential: &Arc<Brokered>) -> Option<Arc<HeldToken>> {
        self.token_in(&self.slot_at_hand(credential)?, credential, self.moment())
    }

    /// Where the token of a credential is held.
    pub(in crate::service) fn slot_at_hand(&self, credential: &Brokered) -> Option<Arc<Slot>> {
        self.0.broker.held(credential.id, credential.version)
    }

    /// The same as [`token_now`](Self::token_now), for who knows where it is held.
    pub(in crate::service) fn token_in(&self, slot: &Arc<Slot>, credential: &Arc<Brokered>, now: Moment) -> Option<Arc<HeldToken>> {
        let token = self.token_of(slot, credential, now)?;
        self.0.metrics.broker.from_memory.inc();
        Some(token)
    }

    /// The same for who looks and may need another one.
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

    /// A token that can be used now, and for `min_validity` as far as the tokens of this service live that long.
    /// `refused` is the token that the service has just answered 401 to; a newer one is got, once for all who saw the
    /// same token refused.
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
                // It was begun for somebody else, and brought what this one cannot use, or there is still a token.
                Some(Ok(_)) => {}
                Some(Err(Lost::Refused(_))) if *tries < TRIES => {}
                Some(Err(Lost::Refused(refusal))) => return Err(NoToken::Refused(refusal)),
                Some(Err(Lost::Gone)) => return Err(NoToken::Gone),
                Some(Err(Lost::Failed(error))) => return Err(NoToken::Failed(ServiceError::Shared(error))),
                Some(Err(Lost::Interrupted)) | None => return Err(NoToken::Failed(ServiceError::Interrupted)),
            }
        }
    }

    /// The same, and where the token came from.
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

    /// Keeps a token that a verification brought, sealed, for every instance. Nothing fails from then on.
    pub(in crate::service) async fn keep_token(
        &self,
        id: CredentialId,
        version: i64,
        token: &IssuedToken,
    ) -> Result<(), ServiceError> {
        let now = self.moment();
        let origin = TokenOrigin::Fetched(FetchReason::Tested);
        let held = held_token(now, token, origin, Duration::ZERO);
        // False when the credential is gone or was changed meanwhile: then there is nothing to keep.
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
