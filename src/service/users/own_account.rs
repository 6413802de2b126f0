//! A user's own account: changing name and password, and confirming that it is still the same person.

use secrecy::SecretString;

use super::{
    reauthentication::{OwnChange, Proof, WRONG_CODE},
    setup::NewHash,
};
use crate::{
    domain::{
        audit::{
            Audit,
            event::{AuditAction, TargetKind},
        },
        credentials::form::FieldError,
        naming::Name,
        users::session::SessionStage,
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Origin},
        audit::record::target,
        auth::{
            sessions::Session,
            sign_in::PasswordAnswer,
            throttle::{Counted, Tried, account},
        },
    },
};

/// What the page of a user's own account shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAccount {
    /// False for a user who only signs in with single sign-on.
    pub has_password: bool,
    /// The number of recovery codes left; `None` without a second factor.
    pub recovery_codes: Option<i64>,
}

impl Service {
    /// The details of a user's own account that the session doesn't contain.
    pub async fn own_account(&self, present: &Session) -> Result<OwnAccount, ServiceError> {
        let user = present.person.id;
        let has_password = self.0.store.password(user).await?.is_some();
        let recovery_codes = match self.0.store.second_factor(user).await? {
            Some(_) => Some(self.0.store.recovery_codes_left(user).await?),
            None => None,
        };
        Ok(OwnAccount { has_password, recovery_codes })
    }

    pub async fn change_own_name(&self, present: &Session, origin: &Origin, typed: &str) -> Result<OwnChange<()>, ServiceError> {
        let name = match Name::parse(typed) {
            Ok(name) => name,
            Err(message) => return Ok(OwnChange::Invalid(vec![FieldError::new("name", message)])),
        };
        let audit = self.own_audit(present, origin, AuditAction::ChangeUser).saying("name");
        self.0.store.rename_user(present.person.id, &name, &audit).await?;
        self.0.epoch.forget();
        Ok(OwnChange::Done(()))
    }

    /// Changes the user's own password. Ends all sessions; the current one continues with the returned cookie
    /// value.
    pub async fn change_own_password(
        &self,
        present: &Session,
        origin: &Origin,
        old: &SecretString,
        new: &SecretString,
        agent: &str,
    ) -> Result<OwnChange<SecretString>, ServiceError> {
        let action = AuditAction::ChangePassword;
        let Some(stored) = self.0.store.password(present.person.id).await? else { return Ok(OwnChange::Void) };
        match self.prove(present, origin, old, None, action).await? {
            Proof::Given => {}
            Proof::Wrong(error) => return Ok(OwnChange::Invalid(vec![FieldError::new("old_password", error.message)])),
            other => return Ok(other.into_change()),
        }
        let phc = match self.hash_new_password(new, vec![present.person.email.clone(), present.person.name.clone()]).await? {
            NewHash::Made(phc) => phc,
            NewHash::Wrong(message) => return Ok(OwnChange::Invalid(vec![FieldError::new("new_password", message)])),
            NewHash::Busy => return Ok(OwnChange::Busy),
        };
        let (cookie, session) = self.new_session(origin, present.person.id, SessionStage::SignedIn, present.method, agent);
        let audit = self.own_audit(present, origin, action);
        let changed = self.0.store.change_password(&stored, &phc, &session, &audit).await?;
        self.0.epoch.forget();
        Ok(if changed { OwnChange::Done(cookie) } else { OwnChange::Void })
    }

    /// Asks a signed-in user for their password again, and for a code if one was sent: someone who finds an open
    /// browser must not be able to take over the account. Failures are counted and recorded like those of a
    /// sign-in.
    pub(in crate::service) async fn prove(
        &self,
        present: &Session,
        origin: &Origin,
        typed: &SecretString,
        code: Option<&SecretString>,
        action: AuditAction,
    ) -> Result<Proof, ServiceError> {
        let (service, present, origin, typed, code) = (self.clone(), present.clone(), origin.clone(), typed.clone(), code.cloned());
        self.to_its_end(async move { service.try_proof(&present, &origin, &typed, code.as_ref(), action).await }).await
    }

    async fn try_proof(
        &self,
        present: &Session,
        origin: &Origin,
        typed: &SecretString,
        code: Option<&SecretString>,
        action: AuditAction,
    ) -> Result<Proof, ServiceError> {
        let person = &present.person;
        let caller = Caller::person(person.clone(), origin.clone());
        let Some(stored) = self.0.store.password(person.id).await? else { return Ok(Proof::Void) };
        let counted = [Counted::OwnPassword(present.id)];
        if let Some(wait) = self.wait(&counted).await? {
            return Ok(Proof::Limited(wait));
        }
        let Ok(place) = self.0.passwords.pool.admit() else { return Ok(Proof::Busy) };
        let attempt = match self.attempt(&counted).await? {
            Ok(attempt) => attempt,
            Err(wait) => return Ok(Proof::Limited(wait)),
        };
        let tried = |detail| Tried { action, target: account(person.id, &person.email), detail };
        match self.check_password(place, Some(&stored), typed).await? {
            PasswordAnswer::Right { .. } => {}
            PasswordAnswer::Wrong => {
                self.failed(attempt, &caller, tried("wrong password")).await?;
                return Ok(Proof::Wrong(FieldError::new("password", "This is not your current password.")));
            }
            PasswordAnswer::Busy => {
                self.not_made(attempt).await?;
                return Ok(Proof::Busy);
            }
        }
        if let Some(code) = code
            && !self.use_code(&caller, person, code).await?
        {
            self.failed(attempt, &caller, tried("wrong or used code")).await?;
            return Ok(Proof::Wrong(FieldError::new("code", WRONG_CODE)));
        }
        self.succeeded(attempt).await?;
        Ok(Proof::Given)
    }

    /// A change to the user's own account, to be recorded.
    pub(in crate::service) fn own_audit(&self, present: &Session, origin: &Origin, action: AuditAction) -> Audit<'_> {
        let person = &present.person;
        let caller = Caller::person(person.clone(), origin.clone());
        self.done(&caller, action, target(TargetKind::User, person.id, &person.email))
    }
}
