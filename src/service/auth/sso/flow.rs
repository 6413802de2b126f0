//! The two halves of single sign-on: [`Service::begin_single_sign_on`] sends a browser to the provider, and
//! [`Service::finish_single_sign_on`] takes it back. `account` decides who may sign in and with which role.

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

/// How long a person may take at the provider.
pub const PENDING: Duration = Duration::from_secs(10 * 60);

/// The settings of single sign-on.
#[derive(Debug, Clone)]
pub struct SingleSignOn {
    /// The provider, and Keytile's client there.
    pub provider: SingleSignOnSettings,
    /// Where the provider sends browsers back to.
    pub callback: Url,
    pub roles: RoleRules,
    /// True if it is the only way to sign in.
    pub only: bool,
    /// The name of the provider as shown on the sign-in page.
    pub name: String,
}

pub(in crate::service) struct SignOn {
    settings: SingleSignOn,
    brakes: Brakes,
}

/// The result of starting a sign-in.
pub enum BeginOutcome {
    /// Send the browser to the provider.
    Sent {
        to: Url,
        /// The cookie that the browser keeps until it comes back.
        cookie: SecretString,
    },
    /// Single sign-on isn't configured.
    Off,
    /// The first administrator must be created before anyone can sign in.
    NoAccounts,
    /// Too many sign-ins are in progress; trying again helps.
    Busy,
    /// The provider can't be used.
    Failed(SingleSignOnError),
}

/// The result of a sign-in.
pub enum FinishOutcome {
    Done {
        /// The value of the session cookie.
        cookie: SecretString,
        /// The page that was requested at the beginning.
        next: String,
    },
    /// Single sign-on isn't configured.
    Off,
    /// Too many sign-ins are in progress; trying again helps.
    Busy,
    /// Too many sign-ins from this address failed; no attempt is allowed for this long.
    Limited(Duration),
    /// It took longer than [`PENDING`].
    TookTooLong,
    /// The provider refused, or its response is invalid.
    Failed(SingleSignOnError),
    /// The provider authenticated the person, but they may not sign in to Keytile.
    Refused(SignInRefusal),
}

impl Service {
    /// Enables single sign-on. Called once, before requests are served; later calls have no effect.
    pub fn use_single_sign_on(&self, settings: SingleSignOn) {
        let _ = self.0.sign_on.set(SignOn { settings, brakes: Brakes::new() });
    }

    /// The settings of single sign-on, if it is enabled.
    pub fn single_sign_on(&self) -> Option<&SingleSignOn> {
        self.0.sign_on.get().map(|sign_on| &sign_on.settings)
    }

    /// True if passwords can be used to sign in.
    pub fn takes_passwords(&self) -> bool {
        self.single_sign_on().is_none_or(|settings| !settings.only)
    }

    /// Records an attempt to use a password, or a password link, while neither is allowed.
    pub async fn record_refused_password(&self, visitor: &Caller) -> Result<(), ServiceError> {
        let Some(sign_on) = self.0.sign_on.get() else { return Ok(()) };
        // Of a flood from one address, only the first attempts are recorded.
        if sign_on.brakes.wait(&visitor.origin.address, self.now()).is_some() {
            return Ok(());
        }
        sign_on.brakes.count(&visitor.origin.address, self.now());
        let detail = "with a password or a link, but single sign-on is the only way in";
        let audit = self.audit(visitor, AuditAction::SignIn, None, AuditOutcome::Refused, detail);
        Ok(self.0.store.record(&audit).await?)
    }

    /// Starts a sign-in that ends at a page of Keytile.
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

    /// Finishes a sign-in, with the cookie that the browser kept and the response that it brings back. The new
    /// session replaces the previous one.
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
            // No sign-in was started in this browser, so none failed and only the log mentions it.
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
        // The provider's message isn't repeated here, because whoever starts a sign-in could choose it.
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
