//! Signing in with a password, and with a code of the second factor if the user has one.
//!
//! The response doesn't say what is wrong: an account that doesn't exist, one that is disabled, one without a
//! password and a wrong password get the same message after the same work, which is one hash.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use secrecy::SecretString;

use super::{
    password_hashing::Admitted,
    sessions::Session,
    throttle::{Counted, Tried, account, address_of},
};
use crate::{
    crypto::password,
    domain::{
        audit::event::AuditAction,
        users::{
            EMAIL_MAX, UserState, email_key,
            password::Password,
            session::{SessionStage, SignInMethod},
        },
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Person, Who},
    },
    store::{RestsOn, UserToSignIn},
};

/// The sign-in form, as it was submitted.
#[derive(Clone)]
pub struct RawSignIn {
    pub email: String,
    pub password: SecretString,
}

/// The browser that is used to sign in.
#[derive(Clone, Copy)]
pub struct Browser<'a> {
    /// Its `User-Agent`.
    pub agent: &'a str,
    /// The value of its device cookie, if it has one.
    pub device: Option<&'a str>,
}

/// The cookies of a user who has just signed in.
pub struct SignedInCookies {
    /// The value of the session cookie.
    pub session: SecretString,
    /// The value of the device cookie, by which the browser is recognized from now on.
    pub device: SecretString,
}

/// The result of a sign-in.
pub enum SignInOutcome {
    Done(SignedInCookies),
    /// The password is correct and a code is needed. Contains the value of the session cookie until then.
    CodeNeeded(SecretString),
    /// The email address, the password or the code is wrong.
    Wrong,
    /// Too many failures; no attempt is allowed for this long.
    Limited(Duration),
    /// Too many passwords are being checked, or the account was changed at this moment; trying again helps.
    Busy,
}

/// The result of checking a password.
pub(in crate::service) enum PasswordAnswer {
    /// The password is correct.
    Right {
        /// A new hash, if the stored one has outdated parameters.
        renewed: Option<String>,
    },
    Wrong,
    /// Not checked.
    Busy,
}

impl Service {
    /// Signs a user in with a password, replacing the previous session. Runs to its end even if the client
    /// disconnects, so that every attempt is counted and recorded.
    pub async fn sign_in(
        &self,
        visitor: &Caller,
        raw: &RawSignIn,
        browser: Browser<'_>,
        before: Option<&Session>,
    ) -> Result<SignInOutcome, ServiceError> {
        let (service, visitor, raw, before) = (self.clone(), visitor.clone(), raw.clone(), before.cloned());
        let (agent, device) = (browser.agent.to_owned(), browser.device.map(str::to_owned));
        let work = async move {
            let browser = Browser { agent: &agent, device: device.as_deref() };
            service.try_password(&visitor, &raw, browser, before.as_ref()).await
        };
        self.to_its_end(work).await
    }

    async fn try_password(
        &self,
        visitor: &Caller,
        raw: &RawSignIn,
        browser: Browser<'_>,
        before: Option<&Session>,
    ) -> Result<SignInOutcome, ServiceError> {
        // No account has a longer address, and computing the key of a longer input would waste work.
        let typed = raw.email.trim();
        let key = if typed.len() <= EMAIL_MAX { email_key(typed) } else { String::new() };
        let found = self.0.store.user_to_sign_in(&key).await?;
        let device =
            found.as_ref().and_then(|user| browser.device.and_then(|cookie| Some((user.id, self.known_device(user.id, cookie)?))));
        let counted: Vec<Counted<'_>> = match device {
            Some((user, device)) => vec![Counted::Device(user, device)],
            None => std::iter::once(Counted::Account(&key)).chain(address_of(visitor)).collect(),
        };
        if let Some(wait) = self.wait(&counted).await? {
            return Ok(SignInOutcome::Limited(wait));
        }
        let Ok(place) = self.0.passwords.pool.admit() else { return Ok(SignInOutcome::Busy) };
        let attempt = match self.attempt(&counted).await? {
            Ok(attempt) => attempt,
            Err(wait) => return Ok(SignInOutcome::Limited(wait)),
        };
        let usable = found.as_ref().filter(|user| user.state == UserState::Active);
        let stored = usable.and_then(|user| user.password.as_deref());
        let (user, renewed) = match (self.check_password(place, stored, &raw.password).await?, usable) {
            (PasswordAnswer::Right { renewed }, Some(user)) => (user, renewed),
            (PasswordAnswer::Busy, _) => {
                self.not_made(attempt).await?;
                return Ok(SignInOutcome::Busy);
            }
            (PasswordAnswer::Wrong, _) | (PasswordAnswer::Right { .. }, None) => {
                let (caller, tried) = wrong(visitor, found.as_ref());
                self.failed(attempt, &caller, tried).await?;
                return Ok(SignInOutcome::Wrong);
            }
        };
        self.succeeded(attempt).await?;
        if let (Some(old), Some(new)) = (stored, renewed) {
            self.0.store.renew_password_hash(user.id, old, &new).await?;
        }
        let person = Person { id: user.id, email: user.email.clone(), name: user.name.clone(), role: user.role };
        let stage = if user.has_second_factor { SessionStage::SecondFactor } else { SessionStage::SignedIn };
        let rests_on = RestsOn::Account { version: user.version, before: before.map(Session::hash) };
        let started = self.start_session(visitor, &person, stage, SignInMethod::Password, browser.agent, rests_on).await?;
        let Some(session) = started else { return Ok(SignInOutcome::Busy) };
        Ok(match stage {
            SessionStage::SecondFactor => SignInOutcome::CodeNeeded(session),
            SessionStage::SignedIn => {
                let device = self.device_cookie(person.id, device.map(|(_, device)| device));
                SignInOutcome::Done(SignedInCookies { session, device })
            }
        })
    }

    /// Continues a sign-in whose password was correct, with a code of the second factor or a recovery code. The
    /// session that waited for the code ends.
    pub async fn sign_in_with_code(
        &self,
        visitor: &Caller,
        waiting: &Session,
        code: &SecretString,
        browser: Browser<'_>,
    ) -> Result<SignInOutcome, ServiceError> {
        let (service, visitor, waiting, code) = (self.clone(), visitor.clone(), waiting.clone(), code.clone());
        let (agent, device) = (browser.agent.to_owned(), browser.device.map(str::to_owned));
        let work = async move {
            let browser = Browser { agent: &agent, device: device.as_deref() };
            service.try_code(&visitor, &waiting, &code, browser).await
        };
        self.to_its_end(work).await
    }

    async fn try_code(
        &self,
        visitor: &Caller,
        waiting: &Session,
        code: &SecretString,
        browser: Browser<'_>,
    ) -> Result<SignInOutcome, ServiceError> {
        let person = &waiting.person;
        let device = browser.device.and_then(|cookie| self.known_device(person.id, cookie));
        let attempt = match self.attempt(&[Counted::Code(person.id, device)]).await? {
            Ok(attempt) => attempt,
            Err(wait) => return Ok(SignInOutcome::Limited(wait)),
        };
        let caller = Caller::person(person.clone(), visitor.origin.clone());
        if !self.use_code(&caller, person, code).await? {
            let tried = Tried {
                action: AuditAction::SecondFactor,
                target: account(person.id, &person.email),
                detail: "wrong or used code",
            };
            self.failed(attempt, &caller, tried).await?;
            return Ok(SignInOutcome::Wrong);
        }
        self.succeeded(attempt).await?;
        let stage = SessionStage::SignedIn;
        let rests_on = RestsOn::Waiting(waiting.hash());
        let started = self.start_session(visitor, person, stage, waiting.method, browser.agent, rests_on).await?;
        let Some(session) = started else { return Ok(SignInOutcome::Busy) };
        Ok(SignInOutcome::Done(SignedInCookies { session, device: self.device_cookie(person.id, device) }))
    }

    /// Checks a password against a user's hash, or a stand-in if there is none: one hash in either case.
    pub(in crate::service) async fn check_password(
        &self,
        place: Admitted,
        stored: Option<&str>,
        typed: &SecretString,
    ) -> Result<PasswordAnswer, ServiceError> {
        let passwords = &self.0.passwords;
        let (cost, stand_in, typed) = (passwords.cost.clone(), passwords.stand_in.clone(), typed.clone());
        let (stored, checked) = (stored.map(str::to_owned), Arc::clone(&passwords.checked));
        let work = move || {
            let password = Password::typed(&typed);
            // An input longer than any password isn't hashed, but another one is, so that the check takes as long.
            let hashed = password.clone().or_else(|| Password::typed(&"too long".into()));
            let Some(hashed) = hashed else { return Ok(PasswordAnswer::Wrong) };
            let right = stored.is_some() && password.is_some();
            let found = password::check(&hashed, stored.as_deref().unwrap_or(&stand_in), &cost)?;
            checked.fetch_add(1, Ordering::Relaxed);
            if !(found.matches && right) {
                return Ok(PasswordAnswer::Wrong);
            }
            let renewed = if found.outdated { Some(password::hash(&hashed, &cost)?) } else { None };
            Ok(PasswordAnswer::Right { renewed })
        };
        place.run(work).await.unwrap_or(Ok(PasswordAnswer::Busy))
    }

    /// The number of passwords checked since the start. Each check is one hash.
    pub fn passwords_checked(&self) -> u64 {
        self.0.passwords.checked.load(Ordering::Relaxed)
    }
}

/// A failed sign-in for the audit trail. The input is recorded only if it is the address of a user, because people
/// type passwords into the wrong field.
fn wrong(visitor: &Caller, found: Option<&UserToSignIn>) -> (Caller, Tried) {
    let (name, target, detail) = match found {
        None => ("unknown account", None, ""),
        Some(user) => {
            let detail = match (user.state, &user.password) {
                (UserState::Disabled, _) => "the account is disabled",
                (UserState::Active, None) => "the account has no password",
                (UserState::Active, Some(_)) => "wrong password",
            };
            (user.email.as_str(), account(user.id, &user.email), detail)
        }
    };
    let caller = Caller { who: Who::Nobody(name.to_owned()), origin: visitor.origin.clone() };
    (caller, Tried { action: AuditAction::SignIn, target, detail })
}
