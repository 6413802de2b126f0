//! What a browser keeps while somebody signs in at the provider: sealed, so that nobody reads or changes it, and
//! good for some minutes. Nothing of it is stored here, so that strangers who begin sign-ins fill no table.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::PENDING;
use crate::service::Service;
use crate::{crypto::envelope::Place, domain::time::Timestamp, upstream::PendingSignIn};

/// The longest address to go on to. Browsers drop cookies of more than 4,096 bytes.
const NEXT_MAX: usize = 1_000;

/// A sign-in that was begun.
#[derive(Serialize, Deserialize)]
pub(in crate::service) struct Begun {
    /// What has to fit the answer.
    pub(in crate::service) pending: PendingSignIn,
    /// The page to go on to.
    pub(in crate::service) next: String,
    /// When it was begun, in milliseconds since the Unix epoch.
    at: i64,
}

impl Begun {
    pub(in crate::service) fn new(pending: PendingSignIn, next: &str, now: Timestamp) -> Self {
        let next = if next.len() <= NEXT_MAX { next } else { "/" };
        Self { pending, next: next.to_owned(), at: now.as_millis() }
    }

    /// Whether it took too long.
    pub(in crate::service) fn is_over(&self, now: Timestamp) -> bool {
        now.since(Timestamp::from_millis(self.at)) > PENDING
    }
}

impl Service {
    /// What the cookie has to hold.
    pub(in crate::service) fn seal_begun(&self, begun: &Begun) -> SecretString {
        // Texts and a number always serialise; nothing at all would not open.
        let bytes = Zeroizing::new(serde_json::to_vec(begun).unwrap_or_default());
        BASE64_URL_SAFE_NO_PAD.encode(self.0.keyring.seal_packed(&Place::pending_sign_in(), &bytes)).into()
    }

    /// What a cookie holds; `None` if Keytile did not make it.
    pub(in crate::service) fn open_begun(&self, cookie: &str) -> Option<Begun> {
        let packed = BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let opened = self.0.keyring.open_packed(&Place::pending_sign_in(), &packed).ok()?;
        serde_json::from_slice(&opened).ok()
    }
}
