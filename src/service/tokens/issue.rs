//! Access tokens for programs that call a service directly: the broker's token, and the header to send it in.

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

/// How often the credential is read again, when it is edited just while its token is got.
const TRIES: usize = 3;
/// How exactly it is recorded who gets tokens, in milliseconds.
const RECORD_STEP: i64 = 60_000;
/// Of how many pairs of key and resource it is remembered that they are recorded.
const REMEMBERED: u64 = 10_000;

/// What came of asking for a token.
pub enum TokenIssue {
    /// Here it is.
    Issued(Box<IssuedAccess>),
    /// There is none now.
    Refused(IssueRefusal),
    /// The caller may not ask for tokens. That it was refused is recorded.
    NotAllowed,
    /// There is no such resource for the caller.
    NotFound,
}

/// An access token to be used by whoever asked for it.
pub struct IssuedAccess {
    /// The token.
    pub access_token: SecretString,
    /// What stands before the token in the header, such as `Bearer`.
    pub token_type: String,
    /// The value of the `Authorization` header to send.
    pub authorization: SecretString,
    /// For how many seconds it can still be used.
    pub seconds_left: u64,
}

/// Why there is no token now.
#[derive(Debug, Clone)]
pub struct IssueRefusal {
    /// What kind of failure it is.
    pub class: FailureClass,
    /// What went wrong; nothing of the fields for somebody who does not manage the credential.
    pub diagnosis: Diagnosis,
    /// For how long the service is not asked again.
    pub retry_in: Duration,
}

/// What is remembered of those who ask.
pub(in crate::service) struct Issues {
    /// What a caller may use, by account and resource.
    known: Remembered<(Option<UserId>, ResourceId), Arc<Issuable>>,
    /// The last minute in which it was recorded that a key got a token for a resource.
    recorded: Cache<(ApiKeyId, ResourceId), i64>,
    /// One records at a time, so that many at once are one record.
    recording: Mutex<()>,
}

impl Issues {
    pub(in crate::service) fn new() -> Self {
        let recorded = Cache::builder().max_capacity(REMEMBERED).build();
        Self { known: Remembered::new(), recorded, recording: Mutex::new(()) }
    }
}

/// A resource and its credential, as far as an account may use them.
struct Issuable {
    resource: ResourceId,
    name: String,
    brokered: Arc<Brokered>,
    /// What its owner may do with the credential, whatever their role; `None` for a command on the server.
    access: Option<Access>,
}

impl Service {
    /// Hands out an access token of the service that a resource is at, for whom the key's owner may use its credential.
    /// It is good for `min_validity`, as far as the tokens of this service live that long.
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

    /// The resource and its credential, as far as the caller may use them; from memory unless it is to be read again.
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

    /// Records that a token was got, or that there was none, before anybody is told of it.
    async fn record_issue(
        &self,
        caller: &Caller,
        issuable: &Issuable,
        outcome: AuditOutcome,
        failed_at: &str,
    ) -> Result<(), ServiceError> {
        let minute = self.now().as_millis().div_euclid(RECORD_STEP);
        // That there was none is another fact than that there was one, and told apart by the sign.
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

/// What stands before the token in a header.
fn scheme(authorization: &str, token: &SecretString) -> String {
    let before = authorization.split(token.expose_secret()).next().unwrap_or_default();
    before.trim().to_owned()
}
