//! One fetch: from what others have left in the database, or from the service, by whoever gets the lease.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;
use tracing::Instrument;

use super::{
    Brokered, HeldToken, NoToken,
    slot::{Fetched, Outcome, TokenReason, TokenRefusal},
};
use crate::{
    crypto::{envelope::Place, random},
    domain::{
        token_state::{FailureClass, TokenLife},
        verification::{Blame, Diagnosis, FaultCode, Unobserved, Verification},
    },
    service::{Service, ServiceError},
    store::{FailedFetch, FetchClaim, FetchClaimed},
    upstream::TokenAttempt,
};

/// How long a fetch may take before it counts as given up: longer than a request with its wait for a turn.
const LEASE: Duration = Duration::from_secs(40);
/// The first pause between two looks at what another instance does; each is longer than the one before.
const LOOK: Duration = Duration::from_millis(20);
/// The longest one.
const LOOK_MAX: Duration = Duration::from_millis(500);

impl Service {
    /// Begins a fetch, unless one is under way. It goes on when nobody waits for it any more.
    pub(super) fn fetch_behind(&self, credential: &Arc<Brokered>, reason: TokenReason, refused: Option<Arc<HeldToken>>) -> Fetched {
        let (fetched, sender) = credential.slot.begin();
        let Some(sender) = sender else { return fetched };
        let (service, credential) = (self.clone(), Arc::clone(credential));
        let work = async move {
            let outcome = match service.fetch(&credential, reason, refused.as_ref()).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::error!(credential = %credential.id, error = &error as &dyn std::error::Error, "no access token could be got");
                    Err(NoToken::Failed)
                }
            };
            credential.slot.end(&outcome, service.moment());
            // Perhaps nobody waits.
            let _ = sender.send(Some(outcome));
        };
        self.0.tasks.spawn(work.in_current_span());
        fetched
    }

    async fn fetch(
        &self,
        credential: &Arc<Brokered>,
        reason: TokenReason,
        refused: Option<&Arc<HeldToken>>,
    ) -> Result<Outcome, ServiceError> {
        let (id, version) = (credential.id, credential.version);
        let holder = random::new_id(self.now());
        let (mut other, mut look) = (None, LOOK);
        let failures = loop {
            if let Some(token) = self.adopted(credential, reason, refused).await? {
                return Ok(Ok(token));
            }
            let now = self.now();
            let given_up = other.filter(|(_, since): &(uuid::Uuid, Instant)| since.elapsed() >= LEASE).map(|(holder, _)| holder);
            let claim = FetchClaim {
                credential: id,
                version,
                holder,
                now,
                lease_until: now.plus(LEASE),
                instead_of: given_up,
                is_due: credential.slot.has_waited(self.moment()),
            };
            match self.0.store.begin_fetch(&claim).await? {
                FetchClaimed::Begun { failures } => break failures,
                FetchClaimed::Gone => return Ok(Err(NoToken::Gone)),
                FetchClaimed::Paused(failed) => return Ok(Err(self.paused(credential, &failed))),
                FetchClaimed::Held { holder } => {
                    if other.is_none_or(|(known, _)| known != holder) {
                        other = Some((holder, Instant::now()));
                    }
                    tokio::time::sleep(look).await;
                    look = (look * 2).min(LOOK_MAX);
                }
            }
        };
        let attempt = self.0.upstream.fetch_token(&credential.connector, &credential.values, &Unobserved).await;
        self.ended(credential, reason, holder, failures, attempt).await
    }

    /// The token that somebody else has stored, if it is better than what there is.
    async fn adopted(
        &self,
        credential: &Brokered,
        reason: TokenReason,
        refused: Option<&Arc<HeldToken>>,
    ) -> Result<Option<Arc<HeldToken>>, ServiceError> {
        let Some((token, end)) = self.stored_token(credential.id, credential.version).await? else { return Ok(None) };
        if refused.is_some_and(|refused| refused.token.expose_secret() == token.expose_secret()) {
            return Ok(None);
        }
        let now = self.moment();
        let life = TokenLife::adopted(now, end);
        // To replace one that is about to end by another that is would be no gain.
        let present = credential.slot.present();
        let is_better = present.is_none_or(|present| life.end.at > present.life.end.at);
        let serves = life.is_alive(now) && (reason != TokenReason::Early || is_better);
        Ok(serves.then(|| Arc::new(HeldToken::new(token, TokenReason::Stored, now, life))))
    }

    /// What a fetch of another instance has found, or one before a restart.
    fn paused(&self, credential: &Brokered, failed: &FailedFetch) -> NoToken {
        let place = Place::token_fetch(credential.id, credential.version);
        let opened = self.open(&place, &failed.sealed).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let diagnosis: Diagnosis = opened.unwrap_or_else(|| {
            tracing::error!(credential = %credential.id, "why no access token is issued does not open");
            forgotten()
        });
        let longest = failed.class.pause(failed.failures, diagnosis.retry_after.map(Duration::from_secs), 1.0);
        let retry_in = failed.retry_at.since(self.now()).min(longest);
        NoToken::Refused(TokenRefusal { class: failed.class, diagnosis: Arc::new(diagnosis), retry_in })
    }

    /// Keeps what came of a fetch.
    async fn ended(
        &self,
        credential: &Brokered,
        reason: TokenReason,
        holder: uuid::Uuid,
        failures: u32,
        attempt: TokenAttempt,
    ) -> Result<Outcome, ServiceError> {
        let (id, version) = (credential.id, credential.version);
        let diagnosis = match attempt.result {
            Ok(token) => {
                let now = self.moment();
                let life = TokenLife::issued(now, token.lifetime);
                if !self.store_token(id, version, &token.access_token, life.end.at).await? {
                    return Ok(Err(NoToken::Gone));
                }
                if credential.is_in_doubt.swap(false, Ordering::Relaxed) || failures > 0 {
                    // It works again, and everybody should see that.
                    let passed = Verification { stages: attempt.stages, failure: None, notice: None };
                    self.0.store.record_verification(id, &self.sealed_verification(id, &passed), None).await?;
                }
                return Ok(Ok(Arc::new(HeldToken::new(token.access_token, reason, now, life))));
            }
            Err(diagnosis) => diagnosis,
        };
        let (class, failures) = (class_of(&diagnosis), failures.saturating_add(1));
        let asked = diagnosis.retry_after.map(Duration::from_secs);
        let retry_in = class.pause(failures, asked, random::fraction());
        // A diagnosis is text, numbers and enums: it always serialises.
        let bytes = serde_json::to_vec(&diagnosis).unwrap_or_default();
        let sealed = self.0.keyring.seal_packed(&Place::token_fetch(id, version), &bytes);
        let failed = FailedFetch { class, failures, retry_at: self.now().plus(retry_in), sealed };
        self.0.store.fail_fetch(id, version, holder, &failed).await?;
        if failures == 1 {
            let verification = Verification { stages: attempt.stages, failure: Some(diagnosis.clone()), notice: None };
            self.0.store.record_verification(id, &self.sealed_verification(id, &verification), None).await?;
        }
        tracing::warn!(credential = %id, class = class.as_str(), failures, seconds = retry_in.as_secs(), "no access token was issued");
        Ok(Err(NoToken::Refused(TokenRefusal { class, diagnosis: Arc::new(diagnosis), retry_in })))
    }
}

fn class_of(diagnosis: &Diagnosis) -> FailureClass {
    match (diagnosis.code, diagnosis.blame) {
        (FaultCode::RateLimited, _) => FailureClass::Limited,
        (_, Blame::Input) => FailureClass::Rejected,
        (_, Blame::Service | Blame::ThisServer) => FailureClass::Unavailable,
    }
}

/// In place of a diagnosis that does not open.
fn forgotten() -> Diagnosis {
    Diagnosis {
        stage: crate::domain::verification::Stage::Token,
        code: FaultCode::ServiceError,
        blame: Blame::ThisServer,
        summary: "No access token was issued; why is not known any more.".into(),
        remedy: "Test the credential.".into(),
        fields: Vec::new(),
        service: None,
        retry_after: None,
    }
}
