//! What a browser keeps while someone signs in at the provider: sealed, so that it can't be read or changed, and
//! valid for some minutes. Nothing is stored on the server, so that strangers who start sign-ins fill no table.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::PENDING;
use crate::{crypto::envelope::Place, domain::time::Timestamp, service::Service, upstream::PendingSignIn};

/// The longest URL to return to, in bytes. Browsers drop cookies of more than 4,096 bytes.
const NEXT_MAX: usize = 1_000;

/// A sign-in in progress.
#[derive(Serialize, Deserialize)]
pub(in crate::service) struct Begun {
    /// What the response must match.
    pub(in crate::service) pending: PendingSignIn,
    /// The page to return to.
    pub(in crate::service) next: String,
    /// When it was started, in milliseconds since the Unix epoch.
    at: i64,
}

impl Begun {
    pub(in crate::service) fn new(pending: PendingSignIn, next: &str, now: Timestamp) -> Self {
        let next = if next.len() <= NEXT_MAX { next } else { "/" };
        Self { pending, next: next.to_owned(), at: now.as_millis() }
    }

    /// True if it has taken longer than [`PENDING`].
    pub(in crate::service) fn is_over(&self, now: Timestamp) -> bool {
        now.since(Timestamp::from_millis(self.at)) > PENDING
    }
}

impl Service {
    /// The value of the cookie.
    pub(in crate::service) fn seal_begun(&self, begun: &Begun) -> SecretString {
        // Strings and a number always serialize; an empty value would not open.
        let bytes = Zeroizing::new(serde_json::to_vec(begun).unwrap_or_default());
        BASE64_URL_SAFE_NO_PAD.encode(self.0.keyring.seal_packed(&Place::pending_sign_in(), &bytes)).into()
    }

    /// The content of a cookie; `None` if Keytile didn't create it.
    pub(in crate::service) fn open_begun(&self, cookie: &str) -> Option<Begun> {
        let packed = BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let opened = self.0.keyring.open_packed(&Place::pending_sign_in(), &packed).ok()?;
        serde_json::from_slice(&opened).ok()
    }
}
