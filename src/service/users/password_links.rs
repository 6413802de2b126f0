//! Password links, with which a user chooses a password after being added or after a reset. A link works once, for
//! three days, and only until another is created for the same user.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::setup::NewHash;
use crate::{
    crypto::random,
    domain::{
        audit::event::{AuditAction, TargetKind},
        credentials::form::FieldError,
        time::Timestamp,
        users::{
            User, UserId, UserState,
            session::{SessionStage, SignInMethod},
        },
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Person},
        audit::record::target,
        auth::sessions::Session,
    },
    store::{NewPasswordLink, RestsOn},
};

/// How long a link can be used.
pub const LINK_LIFETIME: Duration = Duration::from_secs(3 * 24 * 3_600);

/// A link that was just created. Its token exists only here.
pub struct PasswordLink {
    /// The secret part of the link.
    pub token: SecretString,
    pub expires_at: Timestamp,
}

impl PasswordLink {
    /// The URL of the link, for its user only; `keytile` is the public URL. The token is in the query, which
    /// Keytile never logs.
    pub fn address(&self, keytile: &Url) -> Url {
        let mut address = keytile.clone();
        address.set_path("/password");
        address.query_pairs_mut().append_pair("token", self.token.expose_secret());
        address
    }
}

/// The result of resetting a password.
pub enum PasswordReset {
    /// The old password and the sessions are invalid, and this link sets a new password.
    Done(PasswordLink),
    Disabled,
    NotFound,
}

/// The result of setting a password.
pub enum PasswordSet {
    /// Set, and the sessions ended.
    Done,
    /// The password was refused, for this reason.
    Invalid(String),
    /// Too many passwords are being hashed; trying again helps.
    Busy,
    NotFound,
}

/// The result of choosing a password with a link.
pub enum PasswordChoice {
    /// Chosen, and the user is signed in.
    Done {
        /// The value of the session cookie.
        cookie: SecretString,
        /// The value of the device cookie; `None` if a code is still needed.
        device: Option<SecretString>,
        /// True if the code of the second factor is still needed.
        needs_code: bool,
    },
    /// The field `password` is invalid.
    Invalid(FieldError),
    /// Too many passwords are being hashed; trying again helps.
    Busy,
    /// The link was used, expired, was replaced, or never existed.
    Void,
}

impl Service {
    /// Removes the password of a user, ends their sessions, and creates a link for choosing a new one.
    pub async fn reset_password(&self, caller: &Caller, id: UserId) -> Result<PasswordReset, ServiceError> {
        let Some(person) = self.person_to_change(caller, id, "reset a password").await? else { return Ok(PasswordReset::NotFound) };
        let (link, stored) = self.new_password_link(id);
        let audit = self.done(caller, AuditAction::ResetPassword, person);
        if !self.0.store.reset_password(&stored, &audit).await? {
            return Ok(PasswordReset::Disabled);
        }
        self.0.epoch.forget();
        Ok(PasswordReset::Done(link))
    }

    /// Sets a password for a user and ends their sessions.
    pub async fn set_password_of(&self, caller: &Caller, id: UserId, typed: &SecretString) -> Result<PasswordSet, ServiceError> {
        let Some(person) = self.person_to_change(caller, id, "set a password").await? else { return Ok(PasswordSet::NotFound) };
        let Some(user) = self.0.store.user(id).await? else { return Ok(PasswordSet::NotFound) };
        let phc = match self.hash_new_password(typed, vec![user.email, user.name]).await? {
            NewHash::Made(phc) => phc,
            NewHash::Wrong(message) => return Ok(PasswordSet::Invalid(message)),
            NewHash::Busy => return Ok(PasswordSet::Busy),
        };
        let audit = self.done(caller, AuditAction::ChangePassword, person);
        let done = self.0.store.replace_password(id, &phc, &audit).await?;
        self.0.epoch.forget();
        Ok(if done { PasswordSet::Done } else { PasswordSet::NotFound })
    }

    /// The email address of the user whose link this is; `None` if it can't be used.
    pub async fn person_of_link(&self, token: &SecretString) -> Result<Option<String>, ServiceError> {
        Ok(self.owner_of_link(token).await?.map(|(user, _)| user.email))
    }

    /// Chooses a password with a link and signs its user in, replacing any session of the browser. A user with a
    /// second factor still has to enter a code.
    pub async fn choose_password(
        &self,
        caller: &Caller,
        token: &SecretString,
        typed: &SecretString,
        agent: &str,
        before: Option<&Session>,
    ) -> Result<PasswordChoice, ServiceError> {
        let Some((user, link)) = self.owner_of_link(token).await? else { return Ok(PasswordChoice::Void) };
        let phc = match self.hash_new_password(typed, vec![user.email.clone(), user.name.clone()]).await? {
            NewHash::Made(phc) => phc,
            NewHash::Wrong(message) => return Ok(PasswordChoice::Invalid(FieldError::new("password", message))),
            NewHash::Busy => return Ok(PasswordChoice::Busy),
        };
        let person = Person { id: user.id, email: user.email, name: user.name, role: user.role };
        let by = Caller::person(person.clone(), caller.origin.clone());
        let audit = self
            .done(&by, AuditAction::ChangePassword, target(TargetKind::User, person.id, &person.email))
            .saying("with a link; all sessions ended");
        let Some(version) = self.0.store.use_password_link(&link, person.id, self.now(), &phc, &audit).await? else {
            return Ok(PasswordChoice::Void);
        };
        self.0.epoch.forget();
        let needs_code = user.has_second_factor;
        let stage = if needs_code { SessionStage::SecondFactor } else { SessionStage::SignedIn };
        let rests_on = RestsOn::Account { version, before: before.map(Session::hash) };
        let started = self.start_session(caller, &person, stage, SignInMethod::Link, agent, rests_on).await?;
        let Some(cookie) = started else { return Ok(PasswordChoice::Void) };
        let device = (!needs_code).then(|| self.device_cookie(person.id, None));
        Ok(PasswordChoice::Done { cookie, device, needs_code })
    }

    /// A new link for a user, and what is stored of it.
    pub(in crate::service) fn new_password_link(&self, owner: UserId) -> (PasswordLink, NewPasswordLink) {
        let token = random::url_token();
        let expires_at = self.now().plus(LINK_LIFETIME);
        let stored = NewPasswordLink { owner, hash: self.hash_of_link(&token), expires_at };
        (PasswordLink { token, expires_at }, stored)
    }

    /// The person whose link this is, and its hash, if the link can be used.
    async fn owner_of_link(&self, token: &SecretString) -> Result<Option<(User, [u8; 32])>, ServiceError> {
        let hash = self.hash_of_link(token);
        let Some(owner) = self.0.store.owner_of_password_link(&hash, self.now()).await? else { return Ok(None) };
        let user = self.0.store.user(owner).await?.filter(|user| user.state == UserState::Active);
        Ok(user.map(|user| (user, hash)))
    }

    /// What is stored of a link: a keyed hash, so that write access to the database is not enough to create one.
    fn hash_of_link(&self, token: &SecretString) -> [u8; 32] {
        self.0.fingerprint.of(&[b"password link", token.expose_secret().as_bytes()])
    }
}
