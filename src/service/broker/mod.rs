//! The broker: a valid access token of a credential, whoever asks and however many.
//!
//! What it knows of a version of a credential stands in a slot: the token in use, and the pause after a failure. When
//! to do what is decided by `domain::token_state`. A fetch is one task for each slot, in [`fetch`](self); all instances
//! agree on one by a row of the database. The token request is the one that verification makes.

mod fetch;
mod slot;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};

use self::slot::{Found, Slot};
pub use self::slot::{TokenReason, TokenRefusal};
use super::{Service, ServiceError};
pub use crate::domain::token_state::FailureClass;
use crate::{
    crypto::envelope::Place,
    domain::{
        connector::Connector,
        credential::{CredentialId, CredentialStatus},
        time::Timestamp,
        token_state::{Moment, TokenLife},
        values::FieldValues,
    },
    store::CredentialRow,
    upstream::IssuedToken,
};

/// The most versions of credentials that are known at once. One that is dropped costs a look into the database.
const SLOTS: u64 = 10_000;
/// How long one is known that nobody asks for.
const UNUSED: Duration = Duration::from_secs(3_600);

/// What an instance knows of tokens.
pub(super) struct Broker {
    slots: Cache<(CredentialId, i64), Arc<Slot>>,
    /// Where the clock that only runs began.
    began: Instant,
}

/// A version of a credential, opened, and what is known of its tokens.
pub(super) struct Brokered {
    pub(super) id: CredentialId,
    version: i64,
    /// That it works is to be told: when it was read it did not, and no token has come since.
    is_in_doubt: AtomicBool,
    pub(super) connector: Arc<Connector>,
    pub(super) values: FieldValues,
    slot: Arc<Slot>,
}

/// A token in use.
pub(super) struct HeldToken {
    pub(super) token: SecretString,
    /// Why it was fetched, or that somebody else has fetched it.
    pub(super) reason: TokenReason,
    /// When it came.
    pub(super) received: Instant,
    life: TokenLife,
    /// How long it was to be used when it came.
    whole: Duration,
}

/// Why there is no token.
#[derive(Debug, Clone)]
pub(super) enum NoToken {
    /// The service issues none.
    Refused(TokenRefusal),
    /// The credential is gone or has another version: whoever asks has to read it again.
    Gone,
    /// Keytile's own trouble, which is in the log.
    Failed,
}

impl Broker {
    pub(super) fn new() -> Self {
        Self { slots: Cache::builder().max_capacity(SLOTS).time_to_idle(UNUSED).build(), began: Instant::now() }
    }

    fn slot(&self, id: CredentialId, version: i64) -> Arc<Slot> {
        self.slots.get_with((id, version), Arc::default)
    }
}

impl HeldToken {
    fn new(token: SecretString, reason: TokenReason, now: Moment, life: TokenLife) -> Self {
        let whole = life.end.at.since(now.at);
        Self { token, reason, received: Instant::now(), life, whole }
    }

    /// Whether another token would be more useful to somebody who needs one for `min_validity`: this one ends sooner,
    /// and not only because the service issues no longer ones.
    fn is_too_short(&self, now: Moment, min_validity: Duration) -> bool {
        self.left(now) < min_validity.min(self.whole.mul_f64(0.9))
    }

    /// How long it may still be used.
    pub(super) fn left(&self, now: Moment) -> Duration {
        now.until(self.life.end)
    }
}

impl Service {
    pub(super) fn moment(&self) -> Moment {
        Moment { at: self.now(), running: self.0.broker.began.elapsed() }
    }

    /// A credential, opened for the broker; `None` if it is gone or its connector is not known any more.
    pub(super) async fn brokered(&self, id: CredentialId) -> Result<Option<Brokered>, ServiceError> {
        let Some(row) = self.0.store.credential(id).await? else { return Ok(None) };
        self.brokered_row(&row)
    }

    /// The same of a row that was read.
    pub(super) fn brokered_row(&self, row: &CredentialRow) -> Result<Option<Brokered>, ServiceError> {
        let Some(connector) = self.catalogue().get(row.summary.connector.as_str()).cloned() else { return Ok(None) };
        let values = self.open_values(&row.summary, &row.secret)?;
        let (id, version) = (row.summary.id, row.summary.version);
        let is_in_doubt = AtomicBool::new(row.summary.status != CredentialStatus::Verified);
        Ok(Some(Brokered { id, version, is_in_doubt, connector, values, slot: self.0.broker.slot(id, version) }))
    }

    /// The token in use, if one serves. Waits for nobody; begins to fetch another one when it is time.
    pub(super) fn token_now(&self, credential: &Arc<Brokered>) -> Option<Arc<HeldToken>> {
        match credential.slot.find(self.moment(), None, Duration::ZERO) {
            Found::Token(token) => Some(token),
            Found::TokenAndRefresh(token) => {
                self.fetch_behind(credential, TokenReason::Early, None);
                Some(token)
            }
            Found::Nothing { .. } | Found::Refused(_) => None,
        }
    }

    /// A token that may be used now, and for `min_validity` at least where the service issues such tokens. `refused` is
    /// the token that the service has just refused: of all who saw that, one fetches another.
    pub(super) async fn token_for(
        &self,
        credential: &Arc<Brokered>,
        refused: Option<&Arc<HeldToken>>,
        min_validity: Duration,
    ) -> Result<Arc<HeldToken>, NoToken> {
        let reason = match credential.slot.find(self.moment(), refused, min_validity) {
            Found::Token(token) => return Ok(token),
            Found::TokenAndRefresh(token) => {
                self.fetch_behind(credential, TokenReason::Early, None);
                return Ok(token);
            }
            Found::Refused(refusal) => return Err(NoToken::Refused(refusal)),
            Found::Nothing { reason } => reason,
        };
        let mut fetched = self.fetch_behind(credential, reason, refused.cloned());
        match fetched.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(NoToken::Failed)),
            // The task has ended without an outcome, and has logged why.
            Err(_) => Err(NoToken::Failed),
        }
    }

    /// Keeps a token that came with a verification, sealed, until shortly before it expires.
    pub(super) async fn keep_token(&self, id: CredentialId, version: i64, token: &IssuedToken) -> Result<(), ServiceError> {
        let now = self.moment();
        let life = TokenLife::issued(now, token.lifetime);
        if self.store_token(id, version, &token.access_token, life.end.at).await? {
            let held = HeldToken::new(token.access_token.clone(), TokenReason::Verified, now, life);
            self.0.broker.slot(id, version).hold(Arc::new(held));
        }
        Ok(())
    }

    /// False when the credential is gone or was changed meanwhile: then there is nothing to keep.
    async fn store_token(
        &self,
        id: CredentialId,
        version: i64,
        token: &SecretString,
        end: Timestamp,
    ) -> Result<bool, ServiceError> {
        let place = Place::access_token(id, version);
        let sealed = self.0.keyring.seal_packed(&place, token.expose_secret().as_bytes());
        Ok(self.0.store.put_access_token(id, version, &sealed, end).await?)
    }

    /// The token that is stored for a version, whoever has fetched it.
    async fn stored_token(&self, id: CredentialId, version: i64) -> Result<Option<(SecretString, Timestamp)>, ServiceError> {
        let Some(row) = self.0.store.access_token(id).await? else { return Ok(None) };
        if row.version != version || row.expires_at <= self.now() {
            return Ok(None);
        }
        match self.open(&Place::access_token(id, version), &row.sealed) {
            Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().map(|text| (SecretString::from(text), row.expires_at))),
            Err(error) => {
                // Another one is fetched, which takes its place.
                tracing::error!(credential = %id, error = &error as &dyn std::error::Error, "a kept access token does not open");
                Ok(None)
            }
        }
    }
}
