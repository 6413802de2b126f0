//! Links with which somebody chooses a password: after they were added, and after a reset. A link works once, for
//! three days, and as long as no other was made for the same person.

use crate::domain::users::User;
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
            UserId, UserState,
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

/// A link that was made just now. What it holds is known here and nowhere else.
pub struct PasswordLink {
    /// What the link has to hold.
    pub token: SecretString,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

impl PasswordLink {
    /// The address of the link, for the person and for nobody else; `keytile` is where people open Keytile. The
    /// token stands in the query, which no log of Keytile's holds.
    pub fn address(&self, keytile: &Url) -> Url {
        let mut address = keytile.clone();
        address.set_path("/password");
        address.query_pairs_mut().append_pair("token", self.token.expose_secret());
        address
    }
}

/// What came of resetting a password.
pub enum PasswordReset {
    /// The old password does not work any more, the sessions ended, and this link makes a new one.
    Done(PasswordLink),
    /// The account is disabled.
    Disabled,
    /// There is no such person.
    NotFound,
}

/// What came of setting a password.
pub enum PasswordSet {
    /// It is set, and the sessions ended.
    Done,
    /// It cannot be this one, for this reason.
    Invalid(String),
    /// Too many passwords are being hashed; in a moment it works.
    Busy,
    /// There is no such person.
    NotFound,
}

/// What came of choosing a password with a link.
pub enum PasswordChoice {
    /// It is chosen, and its owner is signed in.
    Done {
        /// What the cookie of the session has to hold.
        cookie: SecretString,
        /// What the device cookie has to hold, unless the code is missing.
        device: Option<SecretString>,
        /// The code of the second factor is still missing.
        needs_code: bool,
    },
    /// The field `password` is wrong.
    Invalid(FieldError),
    /// Too many passwords are being hashed; in a moment it works.
    Busy,
    /// The link was used, has expired, was replaced, or never was one.
    Void,
}

impl Service {
    /// Takes the password of a person away, ends their sessions, and makes a link to choose a new one.
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

    /// Gives a person a password that was chosen for them, and ends their sessions.
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

    /// The e-mail address of the person whose link this is; `None` if it cannot be used.
    pub async fn person_of_link(&self, token: &SecretString) -> Result<Option<String>, ServiceError> {
        Ok(self.owner_of_link(token).await?.map(|(user, _)| user.email))
    }

    /// Chooses a password with a link and signs its owner in, in place of whoever was signed in before. Who has a
    /// second factor still has to give its code.
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

    /// A new link of a person, and what is stored of it.
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

    /// What is stored of a link: keyed, so that nobody makes one who can only write to the database.
    fn hash_of_link(&self, token: &SecretString) -> [u8; 32] {
        self.0.fingerprint.of(&[b"password link", token.expose_secret().as_bytes()])
    }
}
