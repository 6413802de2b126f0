//! A user's own second factor: setting it up, using its codes, renewing recovery codes, turning it off.
//!
//! If a second factor is required, an account without one can only set one up; `web` redirects there. During the
//! setup, the secret exists only in the page that shows it, sealed for the session.

use std::sync::atomic::Ordering;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::sessions::Session;
use crate::{
    crypto::{
        envelope::Place,
        second_factor::{TotpSecret, recovery_codes, recovery_hash},
    },
    domain::{
        audit::event::{AuditAction, TargetKind},
        credentials::form::FieldError,
        users::session::SessionStage,
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Origin, Person},
        audit::record::target,
        users::reauthentication::{OwnChange, Proof},
    },
    store::SecondFactorRow,
};

/// A second factor that has just been set up.
pub struct EnabledSecondFactor {
    /// The recovery codes, which are shown once.
    pub codes: Vec<SecretString>,
    /// The new value of the session cookie.
    pub session: SecretString,
}

/// A second factor that is being set up.
pub struct SecondFactorOffer {
    /// The secret, sealed for this session; the page sends it back.
    pub sealed: String,
    /// The secret as people type it into an app.
    pub base32: SecretString,
    /// The secret as a QR code for an app to scan: an `svg` element.
    pub qr: SecretString,
}

impl Service {
    /// From now on, users who sign in with a password must have a second factor, or set one up first.
    pub fn require_second_factor(&self) {
        self.0.second_factor_required.store(true, Ordering::Relaxed);
    }

    /// True if users who sign in with a password must have a second factor.
    pub fn requires_second_factor(&self) -> bool {
        self.0.second_factor_required.load(Ordering::Relaxed)
    }

    /// A new secret for a second factor.
    pub fn offer_second_factor(&self, present: &Session) -> Option<SecondFactorOffer> {
        self.show_offer(present, &TotpSecret::generate())
    }

    /// The same secret again, when the page is shown again; `None` if it belongs to another session.
    pub fn offer_again(&self, present: &Session, sealed: &str) -> Option<SecondFactorOffer> {
        self.show_offer(present, &self.offered(present, sealed)?)
    }

    /// Sets up the second factor that was offered, after a code proves that the app has the secret. The current
    /// session continues with a new id, and all other sessions of the user end.
    pub async fn enable_second_factor(
        &self,
        present: &Session,
        origin: &Origin,
        sealed: &str,
        password: &SecretString,
        code: &SecretString,
        agent: &str,
    ) -> Result<OwnChange<EnabledSecondFactor>, ServiceError> {
        let user = present.person.id;
        let (Some(secret), None) = (self.offered(present, sealed), self.0.store.second_factor(user).await?) else {
            return Ok(OwnChange::Void);
        };
        let Some(step) = secret.check(code.expose_secret(), self.now(), None) else {
            return Ok(OwnChange::Invalid(vec![FieldError::new("code", "This isn't the current code for this key.")]));
        };
        let action = AuditAction::EnableSecondFactor;
        match self.prove(present, origin, password, None, action).await? {
            Proof::Given => {}
            other => return Ok(other.into_change()),
        }
        let sealed = self.0.keyring.seal_packed(&Place::second_factor(user), secret.expose());
        let (codes, hashes) = new_codes();
        let audit = self.own_audit(present, origin, action);
        let row = SecondFactorRow { sealed, step };
        let (cookie, session) = self.new_session(origin, user, SessionStage::SignedIn, present.method, agent);
        let enabled = self.0.store.enable_second_factor(&row, &hashes, &session, &audit).await?;
        self.0.epoch.forget();
        Ok(if enabled { OwnChange::Done(EnabledSecondFactor { codes, session: cookie }) } else { OwnChange::Void })
    }

    /// Replaces the recovery codes. The new ones are shown once.
    pub async fn renew_recovery_codes(
        &self,
        present: &Session,
        origin: &Origin,
        password: &SecretString,
        code: &SecretString,
    ) -> Result<OwnChange<Vec<SecretString>>, ServiceError> {
        let action = AuditAction::RenewRecoveryCodes;
        match self.prove(present, origin, password, Some(code), action).await? {
            Proof::Given => {}
            other => return Ok(other.into_change()),
        }
        let (codes, hashes) = new_codes();
        let audit = self.own_audit(present, origin, action);
        let renewed = self.0.store.replace_recovery_codes(present.person.id, &hashes, &audit).await?;
        Ok(if renewed { OwnChange::Done(codes) } else { OwnChange::Void })
    }

    /// Turns off the second factor.
    pub async fn disable_second_factor(
        &self,
        present: &Session,
        origin: &Origin,
        password: &SecretString,
        code: &SecretString,
    ) -> Result<OwnChange<()>, ServiceError> {
        let action = AuditAction::DisableSecondFactor;
        match self.prove(present, origin, password, Some(code), action).await? {
            Proof::Given => {}
            other => return Ok(other.into_change()),
        }
        let audit = self.own_audit(present, origin, action);
        let disabled = self.0.store.disable_second_factor(present.person.id, &audit).await?;
        self.0.epoch.forget();
        Ok(if disabled { OwnChange::Done(()) } else { OwnChange::Void })
    }

    /// Uses up a code of a user's second factor, or a recovery code. False if it is neither, or was used before.
    pub(in crate::service) async fn use_code(
        &self,
        caller: &Caller,
        person: &Person,
        code: &SecretString,
    ) -> Result<bool, ServiceError> {
        let Some(stored) = self.0.store.second_factor(person.id).await? else { return Ok(false) };
        let place = Place::second_factor(person.id);
        let opened = self.open(&place, &stored.sealed)?;
        let secret = TotpSecret::from_bytes(&opened).ok_or(ServiceError::Unreadable { table: place.table })?;
        let audit = self.done(caller, AuditAction::SecondFactor, target(TargetKind::User, person.id, &person.email));
        if let Some(step) = secret.check(code.expose_secret(), self.now(), Some(stored.step)) {
            return Ok(self.0.store.use_second_factor_step(person.id, step, &audit.saying("with a code")).await?);
        }
        Ok(self.0.store.use_recovery_code(person.id, &recovery_hash(code), &audit.saying("with a recovery code")).await?)
    }

    fn offered(&self, present: &Session, sealed: &str) -> Option<TotpSecret> {
        let packed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let place = Place::second_factor_offer(present.person.id, &present.id);
        // Opening fails if it was sealed for another session or with another keyring, or was not sealed by Keytile.
        let opened = self.0.keyring.open_packed(&place, &packed).ok()?;
        TotpSecret::from_bytes(&opened)
    }

    fn show_offer(&self, present: &Session, secret: &TotpSecret) -> Option<SecondFactorOffer> {
        let place = Place::second_factor_offer(present.person.id, &present.id);
        Some(SecondFactorOffer {
            sealed: BASE64_URL_SAFE_NO_PAD.encode(self.0.keyring.seal_packed(&place, secret.expose())),
            base32: secret.base32(),
            qr: secret.qr_svg(&present.person.email)?,
        })
    }
}

fn new_codes() -> (Vec<SecretString>, Vec<[u8; 32]>) {
    let codes = Vec::from(recovery_codes());
    let hashes = codes.iter().map(recovery_hash).collect();
    (codes, hashes)
}
