//! Issuing access tokens to API clients that call a service directly: the broker's token, and the header to send it
//! in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::broker::{Brokered, NoToken, TokenRefusal};
use crate::{
    domain::{
        access::permission::Access,
        api_keys::{ApiKeyId, Scope},
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        credentials::verification::Diagnosis,
        resources::ResourceId,
        tokens::failure::FailureClass,
        usage::{TokenSource, Use, UseAction, UseOutcome},
        users::UserId,
    },
    service::{
        Service, ServiceError,
        access::{
            caller::{Caller, Who},
            epoch_cache::Remembered,
        },
        audit::record::target,
        resources::preview::for_users,
        usage::history::asker_of,
    },
    upstream,
};

/// How often the credential is read again, if it is edited while its token is fetched.
const TRIES: usize = 3;
/// The shortest time between two records of the same key and resource, in milliseconds.
const RECORD_STEP: i64 = 60_000;
/// The most pairs of key and resource whose record is remembered.
const REMEMBERED: u64 = 10_000;

/// The result of asking for a token.
pub enum TokenIssue {
    Issued(Box<IssuedAccess>),
    Refused(IssueRefusal),
    /// The caller may not ask for tokens. The refusal has been recorded.
    NotAllowed,
    NotFound,
}

/// An access token for the caller's own use.
pub struct IssuedAccess {
    pub access_token: SecretString,
    /// The scheme in front of the token in the header, such as `Bearer`.
    pub token_type: String,
    /// The value of the `Authorization` header to send.
    pub authorization: SecretString,
    /// How many seconds the token is still valid.
    pub seconds_left: u64,
}

/// Why there is no token now.
#[derive(Debug, Clone)]
pub struct IssueRefusal {
    pub class: FailureClass,
    /// What went wrong. Says nothing about fields if the caller doesn't manage the credential.
    pub diagnosis: Diagnosis,
    /// How long the service is not asked again.
    pub retry_in: Duration,
}

/// What an instance caches for issuing tokens.
pub(in crate::service) struct Issues {
    /// What a user may use, by user and resource.
    known: Remembered<(Option<UserId>, ResourceId), Arc<Issuable>>,
    /// The minute of the last record that a key got a token for a resource.
    recorded: Cache<(ApiKeyId, ResourceId), i64>,
    /// Held while recording, so that several requests at the same time are recorded once.
    recording: Mutex<()>,
}

impl Issues {
    pub(in crate::service) fn new() -> Self {
        let recorded = Cache::builder().max_capacity(REMEMBERED).build();
        Self { known: Remembered::new(), recorded, recording: Mutex::new(()) }
    }
}

/// A resource and its credential, as far as a user may use them.
struct Issuable {
    resource: ResourceId,
    name: String,
    brokered: Arc<Brokered>,
    /// The access to the credential that sharing gives the user, whatever their role; `None` for a command on the
    /// server.
    access: Option<Access>,
}

impl Service {
    /// Issues an access token of a resource's service, if the key's owner may use its credential. It is valid for
    /// `min_validity` if the service issues tokens that live that long.
    pub async fn issue_token(
        &self,
        caller: &Caller,
        resource: ResourceId,
        min_validity: Duration,
    ) -> Result<TokenIssue, ServiceError> {
        let allowed = match &caller.who {
            Who::Key(key) => key.scopes.allow(Scope::TokensIssue),
            Who::Server(_) => true,
            Who::Person(_) | Who::Nobody(_) => false,
        };
        if !allowed {
            let detail = "getting an access token: only for an API key with the scope tokens:issue";
            self.0.store.record(&self.audit(caller, AuditAction::Refused, None, AuditOutcome::Refused, detail)).await?;
            return Ok(TokenIssue::NotAllowed);
        }
        if !caller.reaches(resource) {
            return Ok(TokenIssue::NotFound);
        }
        for number in 0..TRIES {
            let Some(issuable) = self.issuable(caller, resource, number > 0).await? else { return Ok(TokenIssue::NotFound) };
            let Brokered { connector, values, .. } = &*issuable.brokered;
            let begun = Instant::now();
            let count = |token, outcome| {
                let (at, credential, asker) = (self.now(), issuable.brokered.id, asker_of(caller));
                let (action, took) = (UseAction::Token, begun.elapsed());
                self.count_use(&Use { at, credential, resource: Some(resource), asker, action, token, outcome, took });
            };
            let refusal = match self.token_and_source(&issuable.brokered, None, min_validity).await {
                Ok((token, source)) => match upstream::authorization(connector, values, &token.token) {
                    Ok(authorization) => {
                        self.record_issue(caller, &issuable, AuditOutcome::Done, "").await?;
                        count(source, UseOutcome::Issued);
                        let seconds_left = token.left(self.moment()).as_secs();
                        return Ok(TokenIssue::Issued(Box::new(access(&token.token, authorization, seconds_left))));
                    }
                    Err(diagnosis) => {
                        let (class, retry_in) = (FailureClass::Rejected, Duration::ZERO);
                        TokenRefusal { class, diagnosis: Arc::from(diagnosis), retry_in }
                    }
                },
                Err(NoToken::Refused(refusal)) => refusal,
                Err(NoToken::Gone) => continue,
                Err(NoToken::Failed(error)) => return Err(error),
            };
            let diagnosis = (*refusal.diagnosis).clone();
            count(TokenSource::None, UseOutcome::Failed(refusal.class));
            self.record_issue(caller, &issuable, AuditOutcome::Failed, diagnosis.stage.as_str()).await?;
            let access = caller.role().zip(issuable.access).map(|(role, access)| role.limits(access));
            let manages = matches!(caller.who, Who::Server(_)) || access == Some(Access::Manage);
            let diagnosis = if manages { diagnosis } else { for_users(diagnosis) };
            return Ok(TokenIssue::Refused(IssueRefusal { class: refusal.class, diagnosis, retry_in: refusal.retry_in }));
        }
        Ok(TokenIssue::NotFound)
    }

    /// The resource and its credential, as far as the caller may use them; from the cache unless `again` is true.
    async fn issuable(&self, caller: &Caller, resource: ResourceId, again: bool) -> Result<Option<Arc<Issuable>>, ServiceError> {
        let store = &self.0.store;
        let epoch = self.0.epoch.current(store).await?;
        let key = (caller.user(), resource);
        let known = &self.0.issues.known;
        if let Some(known) = known.get(&key, epoch).filter(|_| !again) {
            return Ok(Some(known));
        }
        let _turn = known.turn(&key).await;
        if let Some(known) = known.get(&key, epoch).filter(|_| !again) {
            return Ok(Some(known));
        }
        let row = match caller.user() {
            Some(owner) => store.resource(owner, resource).await?,
            None => store.any_resource(resource).await?,
        };
        let Some(row) = row else { return Ok(None) };
        let credential = match caller.user() {
            Some(owner) => store.credential_for(owner, row.credential).await?,
            None => store.credential(row.credential).await?,
        };
        let Some(credential) = credential else { return Ok(None) };
        let Some(brokered) = self.brokered(&credential)? else { return Ok(None) };
        let issuable = Arc::new(Issuable { resource: row.id, name: row.name, brokered, access: credential.access });
        self.0.issues.known.put(key, epoch, Arc::clone(&issuable));
        Ok(Some(issuable))
    }

    /// Records that a token was issued, or that there was none, before the caller gets the result.
    async fn record_issue(
        &self,
        caller: &Caller,
        issuable: &Issuable,
        outcome: AuditOutcome,
        failed_at: &str,
    ) -> Result<(), ServiceError> {
        let minute = self.now().as_millis().div_euclid(RECORD_STEP);
        // Success and failure are recorded separately; the sign tells them apart.
        let minute = if outcome == AuditOutcome::Done { minute } else { -minute };
        let key = match &caller.who {
            Who::Key(key) => key.id,
            Who::Person(_) | Who::Server(_) | Who::Nobody(_) => Uuid::nil(),
        };
        let (issues, pair) = (&self.0.issues, (key, issuable.resource));
        let is_recorded = || issues.recorded.get(&pair) == Some(minute);
        if is_recorded() {
            return Ok(());
        }
        let _recording = issues.recording.lock().await;
        if is_recorded() {
            return Ok(());
        }
        let detail = if failed_at.is_empty() { String::new() } else { format!("no token: it failed at {failed_at}") };
        let about = target(TargetKind::Resource, issuable.resource, &issuable.name);
        self.0.store.record(&self.audit(caller, AuditAction::IssueToken, about, outcome, detail)).await?;
        issues.recorded.insert(pair, minute);
        Ok(())
    }
}

fn access(token: &SecretString, authorization: SecretString, seconds_left: u64) -> IssuedAccess {
    let token_type = scheme(authorization.expose_secret(), token);
    IssuedAccess { access_token: token.clone(), token_type, authorization, seconds_left }
}

/// The part of the header in front of the token.
fn scheme(authorization: &str, token: &SecretString) -> String {
    let before = authorization.split(token.expose_secret()).next().unwrap_or_default();
    before.trim().to_owned()
}
