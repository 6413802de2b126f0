//! One fetch of a token: checks the database first; then one instance, which holds the lease, asks the service.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    broker::{Brokered, HeldToken, TokenOrigin, held_token},
    slot::{Flight, Landing, Lost, Slot},
};
use crate::{
    crypto::{envelope::Place, random},
    domain::{
        credentials::{
            CredentialStatus,
            verification::{Diagnosis, StageReport, Unobserved, Verification},
        },
        telemetry::span::{SpanKind, SpanValue},
        time::Timestamp,
        tokens::{
            failure::FailureClass,
            state::{Failing, FetchReason, Moment, TokenTimes},
        },
        usage::UseOutcome,
    },
    metrics::FetchOutcome,
    service::{Service, ServiceError, operations::tracing::carried},
    store::{AccessTokenRow, FetchStored, NewLease, TokenFailure, TokenRow},
};

/// The first pause before checking again whether another instance has stored a token.
const POLL_FIRST: Duration = Duration::from_millis(20);
/// The longest such pause.
const POLL_MAX: Duration = Duration::from_millis(500);

/// What is fetched, and for which caller.
struct Errand<'a> {
    credential: &'a Brokered,
    slot: &'a Slot,
    min_validity: Duration,
    refused: Option<&'a HeldToken>,
    /// The random id of this fetch, which identifies the holder of the lease.
    holder: Uuid,
}

impl Service {
    /// Starts a fetch. It continues if its caller goes away, because others wait for it and its token is stored.
    pub(in crate::service) fn take_off(
        &self,
        credential: &Arc<Brokered>,
        flight: Flight,
        min_validity: Duration,
        refused: Option<Arc<HeldToken>>,
    ) {
        let (service, credential) = (self.clone(), Arc::clone(credential));
        let fly = async move {
            let slot = Arc::clone(flight.slot());
            let holder = Uuid::from_bytes(random::bytes());
            let errand = Errand { credential: &credential, slot: &slot, min_validity, refused: refused.as_deref(), holder };
            let landing = service.bring(&errand).await.unwrap_or_else(|error| {
                tracing::error!(credential = %credential.id, error = &error as &dyn std::error::Error, "could not get a token");
                Err(Lost::Failed(Arc::new(error)))
            });
            flight.land(service.moment(), landing);
        };
        self.0.tasks.spawn(carried(fly.in_current_span()));
    }

    async fn bring(&self, errand: &Errand<'_>) -> Result<Landing, ServiceError> {
        // A request ends within its time, so that this is more than a fetch takes.
        let lease = self.0.upstream.tokens.time_of_request() * 2;
        let mut pause = POLL_FIRST;
        let mut watching: Option<(Uuid, Instant)> = None;
        loop {
            let row = match self.look(errand).await? {
                Ok(row) => row,
                Err(landing) => return Ok(landing),
            };
            watching = match (row.holder, watching) {
                (Some(holder), Some((watched, since))) if holder == watched => Some((watched, since)),
                (Some(holder), _) => Some((holder, Instant::now())),
                (None, _) => None,
            };
            // Measured with this instance's clock, so that a wrong clock elsewhere makes nobody wait longer than
            // one lease.
            let watched = watching.filter(|(_, since)| since.elapsed() >= lease).map(|(holder, _)| holder);
            let Errand { credential: Brokered { id, version, .. }, holder, .. } = *errand;
            let now = self.now();
            let new = NewLease { credential: *id, version: *version, holder, now, until: now.plus(lease), watched };
            if self.0.store.take_lease(&new).await? {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
        let landing = self.fetch(errand).await;
        if !matches!(landing, Ok(Ok(_) | Err(Lost::Refused(_)))) {
            // The lease would expire by itself, but others don't need to wait for that.
            self.release(errand).await;
        }
        landing
    }

    /// Asks the service, while holding the lease.
    async fn fetch(&self, errand: &Errand<'_>) -> Result<Landing, ServiceError> {
        // The previous holder of the lease may have stored a token since the last check.
        let row = match self.look(errand).await? {
            Ok(row) => row,
            Err(landing) => {
                self.release(errand).await;
                return Ok(landing);
            }
        };
        let reason = match errand.slot.settled(self.moment(), errand.min_validity, errand.refused) {
            Err(FetchReason::First) if row.token.as_ref().is_some_and(|token| token.version < row.version) => FetchReason::Edited,
            Err(FetchReason::First) if row.token.is_some() => FetchReason::Expired,
            Err(reason) => reason,
            Ok(_) => FetchReason::Expired,
        };
        let begun = Instant::now();
        let Brokered { connector, values, .. } = errand.credential;
        let mut span = self.begin_span("token fetch", SpanKind::Client);
        let attempt = self.0.upstream.tokens.fetch_token(connector, values, &Unobserved).await;
        let outcome = match &attempt.result {
            Ok(_) => FetchOutcome::Issued,
            Err(diagnosis) => FetchOutcome::Refused(FailureClass::of(diagnosis)),
        };
        self.0.metrics.broker.fetched(reason, outcome, begun.elapsed());
        if let Some(span) = &mut span {
            span.say("keytile.credential", SpanValue::Text(errand.credential.id.to_string()));
            span.say("keytile.reason", SpanValue::Word(reason.as_str()));
            span.say("keytile.outcome", SpanValue::Word(outcome.as_str()));
            span.failed_if(attempt.result.is_err());
        }
        drop(span);
        match attempt.result {
            Ok(token) => {
                self.count_fetch(errand.credential.id, reason, begun.elapsed(), UseOutcome::Issued);
                let held = held_token(self.moment(), &token, TokenOrigin::Fetched(reason), begun.elapsed());
                self.fetched(errand, &row, held, attempt.stages).await
            }
            Err(diagnosis) => {
                self.count_fetch(errand.credential.id, reason, begun.elapsed(), UseOutcome::Failed(FailureClass::of(&diagnosis)));
                self.fetch_failed(errand, &row, diagnosis, attempt.stages).await
            }
        }
    }

    async fn fetched(
        &self,
        errand: &Errand<'_>,
        row: &TokenRow,
        held: HeldToken,
        stages: Vec<StageReport>,
    ) -> Result<Landing, ServiceError> {
        let Brokered { id, version, .. } = *errand.credential;
        let stored = self.0.store.put_fetched_token(id, version, errand.holder, &self.sealed_token(id, version, &held)).await?;
        if stored == FetchStored::Gone {
            return Ok(Err(Lost::Gone));
        }
        tracing::debug!(credential = %id, millis = held.took.as_millis(), "a token was fetched");
        let held = Arc::new(held);
        errand.slot.put(self.moment(), Arc::clone(&held));
        if row.status != CredentialStatus::Verified {
            // The credential works again, which everyone should see.
            self.record(errand, Verification { stages, failure: None, notice: None }).await;
        }
        Ok(Ok(held))
    }

    async fn fetch_failed(
        &self,
        errand: &Errand<'_>,
        row: &TokenRow,
        diagnosis: Diagnosis,
        stages: Vec<StageReport>,
    ) -> Result<Landing, ServiceError> {
        let Brokered { id, version, .. } = *errand.credential;
        let class = FailureClass::of(&diagnosis);
        let failures = errand.slot.failing().map_or(0, |failing| failing.failures).saturating_add(1);
        let [jitter] = random::bytes();
        let pause = class.pause(failures, diagnosis.retry_after, jitter);
        let until = self.moment().plus(pause);
        // A diagnosis consists of strings, numbers and enums, which always serialize.
        let bytes = serde_json::to_vec(&diagnosis).unwrap_or_default();
        let failure = TokenFailure {
            class,
            failures,
            retry_at: until.wall,
            pause: i64::try_from(pause.as_millis()).unwrap_or(i64::MAX),
            sealed: self.0.keyring.seal_packed(&Place::token_failure(id, version), &bytes),
        };
        let refusal = Arc::new(diagnosis.clone());
        errand.slot.set_failing(Some((Failing { class, failures, until }, Arc::clone(&refusal), until.wall)));
        let stored = self.0.store.put_token_failure(id, version, errand.holder, &failure).await?;
        // Of a series of failures, only the first, and those with a new status, are recorded.
        if stored && (failures == 1 || row.status != diagnosis.status()) {
            self.record(errand, Verification { stages, failure: Some(diagnosis), notice: None }).await;
        }
        Ok(Err(Lost::Refused(super::broker::TokenRefusal { class, diagnosis: refusal, retry_in: pause })))
    }

    /// Adopts what the database has. The inner error is the result, if nothing needs to be fetched.
    async fn look(&self, errand: &Errand<'_>) -> Result<Result<TokenRow, Landing>, ServiceError> {
        let Brokered { id, version, .. } = *errand.credential;
        let Some(row) = self.0.store.token_of(id).await?.filter(|row| row.version == version) else {
            return Ok(Err(Err(Lost::Gone)));
        };
        let now = self.moment();
        errand.slot.looked(now);
        if let Some(token) = row.token.as_ref().filter(|token| token.version == version) {
            self.adopt(errand, now, token);
        }
        self.adopt_failure(errand, now, row.failure.as_ref());
        Ok(match errand.slot.settled(now, errand.min_validity, errand.refused) {
            Ok(landing) => Err(landing),
            Err(_) => Ok(row),
        })
    }

    /// Adopts a stored token, if it is newer than the held one or none is held.
    fn adopt(&self, errand: &Errand<'_>, now: Moment, row: &AccessTokenRow) {
        let Errand { credential, slot, refused, .. } = errand;
        let times = TokenTimes::adopted(now, row.fetched_at, row.expires_at);
        if times.use_until.is_reached(now) {
            return;
        }
        let present = slot.token(now);
        if let Some((token, usable)) = &present
            && *usable
            && refused.is_none()
            && row.fetched_at <= token.fetched_at
        {
            return;
        }
        let place = Place::access_token(credential.id, credential.version);
        let opened = self.open(&place, &row.sealed);
        let token = match opened.map(|bytes| std::str::from_utf8(&bytes).ok().map(SecretString::from)) {
            Ok(Some(token)) => token,
            Ok(None) => return,
            Err(error) => {
                // Another token is fetched and replaces it.
                tracing::error!(credential = %credential.id, error = &error as &dyn std::error::Error, "cannot decrypt a stored access token");
                return;
            }
        };
        let (fetched_at, expires_at, took) = (row.fetched_at, row.expires_at, Duration::ZERO);
        let held = HeldToken { token, origin: TokenOrigin::Adopted, fetched_at, expires_at, took, times, headers: OnceLock::new() };
        let is_refused = refused.is_some_and(|refused| refused.is(&held));
        let is_present = present.is_some_and(|(present, _)| present.is(&held));
        if !is_refused && !is_present {
            slot.put(now, Arc::new(held));
        }
    }

    /// Adopts a stored failure, or that there is none now, unless that is known already.
    fn adopt_failure(&self, errand: &Errand<'_>, now: Moment, stored: Option<&TokenFailure>) {
        let Errand { credential, slot, .. } = errand;
        let Some(stored) = stored else { return slot.set_failing(None) };
        if slot.knows_failure(stored.class, stored.retry_at) {
            return;
        }
        let place = Place::token_failure(credential.id, credential.version);
        let opened = self.open(&place, &stored.sealed);
        match opened.map(|bytes| serde_json::from_slice::<Diagnosis>(&bytes)) {
            Ok(Ok(diagnosis)) => {
                let until = now.plus(left_of(stored, now.wall));
                let failing = Failing { class: stored.class, failures: stored.failures, until };
                slot.set_failing(Some((failing, Arc::new(diagnosis), stored.retry_at)));
            }
            Ok(Err(_)) => slot.set_failing(None),
            Err(error) => {
                tracing::error!(credential = %credential.id, error = &error as &dyn std::error::Error, "cannot decrypt a diagnosis");
                slot.set_failing(None);
            }
        }
    }

    async fn release(&self, errand: &Errand<'_>) {
        if let Err(error) = self.0.store.release_lease(errand.credential.id, errand.holder).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not release a lease; it will expire");
        }
    }

    async fn record(&self, errand: &Errand<'_>, verification: Verification) {
        let Brokered { id, version, .. } = *errand.credential;
        let recorded = self.0.store.record_verification(id, &self.sealed_verification(id, version, &verification), None).await;
        if let Err(error) = recorded {
            tracing::error!(credential = %id, error = &error as &dyn std::error::Error, "could not record a verification");
        }
    }
}

/// How long the service must still not be asked, by this clock; never longer than the whole pause.
fn left_of(stored: &TokenFailure, now: Timestamp) -> Duration {
    stored.retry_at.since(now).min(Duration::from_millis(u64::try_from(stored.pause).unwrap_or_default()))
}
