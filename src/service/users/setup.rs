//! Setup: creating the first administrator. Also hashes new passwords.

use std::sync::{Arc, atomic::AtomicU64};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    crypto::{
        hash::equal_in_constant_time,
        password::{self, PasswordCost},
    },
    domain::{
        audit::{
            chain::hex,
            event::{AuditAction, TargetKind},
        },
        credentials::form::FieldError,
        naming::Name,
        users::{
            Email, Role,
            password::NewPassword,
            session::{SessionStage, SignInMethod},
        },
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Person},
        audit::record::target,
        auth::{password_hashing::HashingPool, sign_in::SignedInCookies},
    },
    store::{FIRST_VERSION, NewUser, RestsOn, UserInsert},
};

/// What password hashing needs.
pub(in crate::service) struct Passwords {
    pub(in crate::service) cost: PasswordCost,
    pub(in crate::service) pool: HashingPool,
    /// A hash to check against if there is no password, so that the check takes as long.
    pub(in crate::service) stand_in: String,
    /// The number of passwords checked since the start.
    pub(in crate::service) checked: Arc<AtomicU64>,
}

impl Passwords {
    pub(in crate::service) fn new(cost: PasswordCost) -> Self {
        let (stand_in, pool) = (password::stand_in(&cost), HashingPool::for_this_machine());
        Self { cost, pool, stand_in, checked: Arc::default() }
    }
}

/// The setup form, as it was submitted.
pub struct RawSetUp {
    pub email: String,
    pub name: String,
    pub password: SecretString,
}

/// The result of the setup.
pub enum SetUpOutcome {
    /// Done. Contains the cookies of the first administrator's session.
    Done(SignedInCookies),
    /// Fields are invalid: `email`, `name` or `password`.
    Invalid(Vec<FieldError>),
    /// There is already a user, or the link isn't the one that was printed.
    Void,
    /// Too many passwords are being hashed; trying again helps.
    Busy,
}

impl Service {
    /// True if there is any user.
    pub async fn has_users(&self) -> Result<bool, ServiceError> {
        Ok(self.0.store.has_users().await?)
    }

    /// The token of the setup link; `None` once there is a user. It is derived from the keyring, so that every
    /// instance and every start has the same token and none is stored; once used, it is never valid again.
    pub async fn setup_token(&self) -> Result<Option<SecretString>, ServiceError> {
        if self.has_users().await? {
            return Ok(None);
        }
        Ok(Some(hex(&self.0.fingerprint.of(&[b"set-up link"])).into()))
    }

    /// True if this is the token of the setup link, and the setup hasn't been done.
    pub async fn is_setup_token(&self, typed: &str) -> Result<bool, ServiceError> {
        let token = self.setup_token().await?;
        Ok(token.is_some_and(|token| equal_in_constant_time(token.expose_secret(), typed)))
    }

    /// Creates the first administrator, who becomes the owner of everything that was created before, and signs them
    /// in.
    pub async fn set_up(&self, caller: &Caller, token: &str, raw: &RawSetUp, agent: &str) -> Result<SetUpOutcome, ServiceError> {
        if !self.is_setup_token(token).await? {
            return Ok(SetUpOutcome::Void);
        }
        let mut errors = Vec::new();
        let email = Email::parse(&raw.email).map_err(|message| errors.push(FieldError::new("email", message)));
        let name = Name::parse(&raw.name).map_err(|message| errors.push(FieldError::new("name", message)));
        let phc = match self.hash_new_password(&raw.password, vec![raw.email.clone(), raw.name.clone()]).await? {
            NewHash::Made(phc) => Some(phc),
            NewHash::Wrong(message) => {
                errors.push(FieldError::new("password", message));
                None
            }
            NewHash::Busy => return Ok(SetUpOutcome::Busy),
        };
        let (Ok(email), Ok(name), Some(phc)) = (email, name, phc) else { return Ok(SetUpOutcome::Invalid(errors)) };
        let person = Person {
            id: self.new_id(),
            email: email.as_str().to_owned(),
            name: name.as_str().to_owned(),
            role: Role::Administrator,
        };
        let new =
            NewUser { id: person.id, email: &email, name: &name, role: person.role, password: Some(&phc), created_at: self.now() };
        let by = Caller::person(person.clone(), caller.origin.clone());
        let audit = self.done(&by, AuditAction::SetUp, target(TargetKind::User, person.id, &person.email));
        if self.0.store.insert_first_user(&new, &audit).await? != UserInsert::Inserted {
            return Ok(SetUpOutcome::Void);
        }
        self.0.epoch.forget();
        let (stage, rests_on) = (SessionStage::SignedIn, RestsOn::Account { version: FIRST_VERSION, before: None });
        let started = self.start_session(caller, &person, stage, SignInMethod::Link, agent, rests_on).await?;
        let Some(session) = started else { return Ok(SetUpOutcome::Void) };
        Ok(SetUpOutcome::Done(SignedInCookies { session, device: self.device_cookie(person.id, None) }))
    }

    /// Checks and hashes a new password. `about` is public information about the user, which a password must not
    /// consist of.
    pub(in crate::service) async fn hash_new_password(
        &self,
        typed: &SecretString,
        about: Vec<String>,
    ) -> Result<NewHash, ServiceError> {
        let (typed, cost) = (typed.clone(), self.0.passwords.cost.clone());
        let work = move || {
            let about: Vec<&str> = about.iter().map(String::as_str).collect();
            NewPassword::parse(&typed, &about).map(|password| password::hash(password.password(), &cost))
        };
        Ok(match self.0.passwords.pool.run(work).await {
            Ok(Ok(phc)) => NewHash::Made(phc?),
            Ok(Err(message)) => NewHash::Wrong(message),
            Err(_) => NewHash::Busy,
        })
    }
}

/// A new password, hashed or refused.
pub(in crate::service) enum NewHash {
    /// The hash as a PHC string.
    Made(String),
    /// Why the password was refused.
    Wrong(String),
    /// Too many passwords are being hashed.
    Busy,
}
