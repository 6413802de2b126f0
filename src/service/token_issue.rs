//! Access tokens for programs that call a service directly: the broker's token, and the header to send it in.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Service, ServiceError,
    audit::target,
    broker::{NoToken, TokenRefusal},
    caller::{Caller, Who},
    preview::for_users,
    rights::access_to,
};
use crate::{
    domain::{
        api_key::{ApiKeyId, Scope},
        audit::{AuditAction, AuditOutcome, TargetKind},
        permission::Access,
        resource::ResourceId,
        token_failure::FailureClass,
        verification::Diagnosis,
    },
    store::{CredentialRow, ResourceRow},
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

/// The last minute in which it was recorded that a key got a token for a resource.
pub(super) struct RecordedIssues(Cache<(ApiKeyId, ResourceId), i64>);

impl RecordedIssues {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).build())
    }
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
        for _ in 0..TRIES {
            let Some((row, credential)) = self.for_issue(caller, resource).await? else { return Ok(TokenIssue::NotFound) };
            let Some(brokered) = self.brokered(&credential)? else { return Ok(TokenIssue::NotFound) };
            match self.token_for(&brokered, None, min_validity).await {
                Ok(token) => {
                    let authorization = upstream::authorization(&brokered.connector, &brokered.values, &token.token);
                    let authorization = match authorization {
                        Ok(authorization) => authorization,
                        Err(diagnosis) => {
                            let (class, retry_in) = (FailureClass::Rejected, Duration::ZERO);
                            let refusal = TokenRefusal { class, diagnosis: Arc::new(diagnosis), retry_in };
                            return self.no_token(caller, &row, &credential, &refusal).await;
                        }
                    };
                    self.record_issue(caller, &row, AuditOutcome::Done, "").await?;
                    let left = token.left(self.moment()).as_secs();
                    // Made of text, so that it is text.
                    let authorization = authorization.to_str().unwrap_or_default().to_owned();
                    let token_type = scheme(&authorization, &token.token);
                    return Ok(TokenIssue::Issued(Box::new(IssuedAccess {
                        access_token: token.token.clone(),
                        token_type,
                        authorization: authorization.into(),
                        seconds_left: left,
                    })));
                }
                Err(NoToken::Refused(refusal)) => return self.no_token(caller, &row, &credential, &refusal).await,
                Err(NoToken::Gone) => {}
                Err(NoToken::Failed(error)) => return Err(error),
            }
        }
        Ok(TokenIssue::NotFound)
    }

    /// The resource and its credential, as far as the caller may use them.
    async fn for_issue(&self, caller: &Caller, resource: ResourceId) -> Result<Option<(ResourceRow, CredentialRow)>, ServiceError> {
        if !caller.reaches(resource) {
            return Ok(None);
        }
        let store = &self.0.store;
        let (row, credential) = match caller.user() {
            Some(owner) => {
                let Some(row) = store.resource(owner, resource).await? else { return Ok(None) };
                let credential = store.credential_for(owner, row.credential).await?;
                (row, credential)
            }
            None => {
                let Some(row) = store.any_resource(resource).await? else { return Ok(None) };
                let credential = store.credential(row.credential).await?;
                (row, credential)
            }
        };
        Ok(credential.map(|credential| (row, credential)))
    }

    async fn no_token(
        &self,
        caller: &Caller,
        row: &ResourceRow,
        credential: &CredentialRow,
        refusal: &TokenRefusal,
    ) -> Result<TokenIssue, ServiceError> {
        let diagnosis = (*refusal.diagnosis).clone();
        self.record_issue(caller, row, AuditOutcome::Failed, diagnosis.stage.as_str()).await?;
        let manages = matches!(caller.who, Who::Server(_)) || access_to(caller, credential) == Some(Access::Manage);
        let diagnosis = if manages { diagnosis } else { for_users(diagnosis) };
        Ok(TokenIssue::Refused(IssueRefusal { class: refusal.class, diagnosis, retry_in: refusal.retry_in }))
    }

    /// Records that a token was got, or that there was none, before anybody is told of it.
    async fn record_issue(
        &self,
        caller: &Caller,
        row: &ResourceRow,
        outcome: AuditOutcome,
        failed_at: &str,
    ) -> Result<(), ServiceError> {
        let minute = self.now().as_millis().div_euclid(RECORD_STEP);
        let key = match &caller.who {
            Who::Key(key) => key.id,
            Who::Person(_) | Who::Server(_) | Who::Nobody(_) => Uuid::nil(),
        };
        // That there was none is another fact than that there was one, and told apart by the sign.
        let minute = if outcome == AuditOutcome::Done { minute } else { -minute };
        if self.0.issues.0.get(&(key, row.id)) == Some(minute) {
            return Ok(());
        }
        let detail = if failed_at.is_empty() { String::new() } else { format!("no token: it failed at {failed_at}") };
        let about = target(TargetKind::Resource, row.id, &row.name);
        let audit = self.audit(caller, AuditAction::IssueToken, about, outcome, detail);
        self.0.store.record(&audit).await?;
        self.0.issues.0.insert((key, row.id), minute);
        Ok(())
    }
}

/// What stands before the token in a header.
fn scheme(authorization: &str, token: &SecretString) -> String {
    use secrecy::ExposeSecret;
    let before = authorization.split(token.expose_secret()).next().unwrap_or_default();
    before.trim().to_owned()
}
