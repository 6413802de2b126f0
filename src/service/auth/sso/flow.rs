//! Single sign-on: people come from a provider of OpenID Connect, and have or get an account here.
//!
//! [`Service::begin_single_sign_on`] sends a browser there, [`Service::finish_single_sign_on`] takes it back. Who
//! somebody is says the provider; whether they come in and with which role, `account` decides. Whatever goes
//! wrong, nobody is signed in. A second factor is not asked for: that is the provider's part.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{account::SignInRefusal, pending::Begun, rate_limit::Brakes};
use crate::{
    domain::{
        access::group_role::RoleRules,
        audit::event::{AuditAction, AuditOutcome},
        users::session::{SessionStage, SignInMethod},
    },
    service::{Service, ServiceError, access::caller::Caller, auth::sessions::Session},
    store::RestsOn,
    upstream::{CallbackAnswer, SingleSignOnError, SingleSignOnSettings},
};

/// How long somebody may take at the provider.
pub const PENDING: Duration = Duration::from_secs(10 * 60);

/// How this Keytile uses single sign-on.
#[derive(Debug, Clone)]
pub struct SingleSignOn {
    /// The provider, and what Keytile is to it.
    pub provider: SingleSignOnSettings,
    /// Where the provider sends browsers back to.
    pub callback: Url,
    /// Who has which role.
    pub roles: RoleRules,
    /// Whether it is the only way in.
    pub only: bool,
    /// What people know it by.
    pub name: String,
}

/// Single sign-on as it runs.
pub(in crate::service) struct SignOn {
    settings: SingleSignOn,
    brakes: Brakes,
}

/// How the first half of a sign-in ended.
pub enum BeginOutcome {
    /// The browser is to go there.
    Sent {
        /// The provider's page.
        to: Url,
        /// What the browser keeps until it comes back.
        cookie: SecretString,
    },
    /// There is no single sign-on here.
    Off,
    /// The first administrator is to be made before anybody can sign in.
    NoAccounts,
    /// Too many sign-ins are under way; in a moment it works.
    Busy,
    /// The provider cannot be used.
    Failed(SingleSignOnError),
}

/// How a sign-in ended.
pub enum FinishOutcome {
    /// Signed in.
    Done {
        /// What the cookie of the session has to hold.
        cookie: SecretString,
        /// The page that was asked for at the beginning.
        next: String,
    },
    /// There is no single sign-on here.
    Off,
    /// Too many sign-ins are under way; in a moment it works.
    Busy,
    /// Too many sign-ins from this address failed; nothing is tried for so long.
    Limited(Duration),
    /// It took longer than [`PENDING`].
    TookTooLong,
    /// The provider says no, or its answer proves nothing.
    Failed(SingleSignOnError),
    /// The provider vouches for the person, but they do not come in here.
    Refused(SignInRefusal),
}

impl Service {
    /// Lets people in by single sign-on from now on. Said once, before anything is served; what is said later
    /// counts for nothing.
    pub fn use_single_sign_on(&self, settings: SingleSignOn) {
        let _ = self.0.sign_on.set(SignOn { settings, brakes: Brakes::new() });
    }

    /// How single sign-on is used; `None` where it is not.
    pub fn single_sign_on(&self) -> Option<&SingleSignOn> {
        self.0.sign_on.get().map(|sign_on| &sign_on.settings)
    }

    /// Whether a password is a way in.
    pub fn takes_passwords(&self) -> bool {
        self.single_sign_on().is_none_or(|settings| !settings.only)
    }

    /// Records that somebody tried to come in with a password, or a link to choose one, where neither is a way in.
    pub async fn record_refused_password(&self, visitor: &Caller) -> Result<(), ServiceError> {
        let Some(sign_on) = self.0.sign_on.get() else { return Ok(()) };
        // A flood of them from one address is told by its first ones.
        if sign_on.brakes.wait(&visitor.origin.address, self.now()).is_some() {
            return Ok(());
        }
        sign_on.brakes.count(&visitor.origin.address, self.now());
        let detail = "with a password or a link, but single sign-on is the only way in";
        let audit = self.audit(visitor, AuditAction::SignIn, None, AuditOutcome::Refused, detail);
        Ok(self.0.store.record(&audit).await?)
    }

    /// Begins a sign-in that leads to a page of Keytile.
    pub async fn begin_single_sign_on(&self, visitor: &Caller, next: &str) -> Result<BeginOutcome, ServiceError> {
        let Some(SignOn { settings, brakes }) = self.0.sign_on.get() else { return Ok(BeginOutcome::Off) };
        if !self.has_users().await? {
            return Ok(BeginOutcome::NoAccounts);
        }
        let Ok(_permit) = brakes.beginning.try_acquire() else { return Ok(BeginOutcome::Busy) };
        let now = self.now();
        if let Some(error) = brakes.recent_failure(now) {
            return Ok(BeginOutcome::Failed(error));
        }
        match self.0.upstream.sign_on.begin_sign_in(&settings.provider, &settings.callback).await {
            Ok((to, pending)) => {
                let cookie = self.seal_begun(&Begun::new(pending, next, now));
                Ok(BeginOutcome::Sent { to, cookie })
            }
            Err(error) => {
                brakes.failed(now, &error);
                self.record_failure(visitor, &error).await?;
                Ok(BeginOutcome::Failed(error))
            }
        }
    }

    /// Ends a sign-in, with what the browser kept and what it brings back: signs the person in, in place of the
    /// session before.
    pub async fn finish_single_sign_on(
        &self,
        visitor: &Caller,
        cookie: Option<&str>,
        answer: &CallbackAnswer,
        agent: &str,
        before: Option<&Session>,
    ) -> Result<FinishOutcome, ServiceError> {
        let Some(SignOn { settings, brakes }) = self.0.sign_on.get() else { return Ok(FinishOutcome::Off) };
        let now = self.now();
        let Some(begun) = cookie.and_then(|cookie| self.open_begun(cookie)) else {
            // No sign-in was begun in this browser, so that there is none that could have failed: only the log tells.
            tracing::warn!("single sign-on: a response arrived in a browser that had not started a sign-in");
            return Ok(FinishOutcome::Failed(SingleSignOnError::ForeignAnswer));
        };
        let address = &visitor.origin.address;
        if let Some(wait) = brakes.wait(address, now) {
            return Ok(FinishOutcome::Limited(wait));
        }
        if begun.is_over(now) {
            brakes.count(address, now);
            self.record_refusal(visitor, "single sign-on: it took too long").await?;
            return Ok(FinishOutcome::TookTooLong);
        }
        let Ok(permit) = brakes.finishing.try_acquire() else { return Ok(FinishOutcome::Busy) };
        let finished = self.0.upstream.sign_on.finish_sign_in(&settings.provider, &settings.callback, &begun.pending, answer).await;
        drop(permit);
        let identity = match finished {
            Ok(identity) => identity,
            Err(error) => {
                brakes.count(address, now);
                self.record_failure(visitor, &error).await?;
                return Ok(FinishOutcome::Failed(error));
            }
        };
        let (person, version) = match self.person_of(visitor, &settings.roles, &identity).await? {
            Ok(come) => come,
            Err(refusal) => {
                brakes.count(address, now);
                return Ok(FinishOutcome::Refused(refusal));
            }
        };
        let (stage, method) = (SessionStage::SignedIn, SignInMethod::SingleSignOn);
        let rests_on = RestsOn::Account { version, before: before.map(Session::hash) };
        let started = self.start_session(visitor, &person, stage, method, agent, rests_on).await?;
        let Some(cookie) = started else { return Ok(FinishOutcome::Busy) };
        Ok(FinishOutcome::Done { cookie, next: begun.next })
    }

    async fn record_failure(&self, visitor: &Caller, error: &SingleSignOnError) -> Result<(), ServiceError> {
        tracing::warn!(reason = %error, "single sign-on: a sign-in failed");
        // The words of the provider are not repeated here: whoever begins a sign-in could choose them.
        let detail = match error {
            SingleSignOnError::Settings(_) => "single sign-on: it is not set up correctly",
            SingleSignOnError::Unreachable(_) => "single sign-on: the provider cannot be reached",
            SingleSignOnError::Discovery(_) => "single sign-on: the provider's configuration cannot be used",
            SingleSignOnError::Refused { .. } => "single sign-on: the provider refused it",
            SingleSignOnError::ForeignAnswer => "single sign-on: the response doesn't belong to a sign-in from this browser",
            SingleSignOnError::OtherIssuer => "single sign-on: the response is from another provider",
            SingleSignOnError::Answer(_) => "single sign-on: the provider's response cannot be used",
            SingleSignOnError::InvalidToken(_) => "single sign-on: the ID token is not valid",
            SingleSignOnError::OtherSubject => "single sign-on: the userinfo is about another person",
        };
        self.record_refusal(visitor, detail).await
    }

    async fn record_refusal(&self, visitor: &Caller, detail: &str) -> Result<(), ServiceError> {
        let audit = self.audit(visitor, AuditAction::SignIn, None, AuditOutcome::Failed, detail);
        Ok(self.0.store.record(&audit).await?)
    }
}
