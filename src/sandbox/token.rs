//! The sandbox's access tokens: a signed claim, so that nothing has to be stored.
//!
//! They are signed with a constant and stay valid over a restart of the sandbox, as TalkDesk's do. The
//! constant protects nothing: everyone who reads it can forge a token for the sandbox, which is fine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::hosts::Region;
use crate::domain::time::{Clock, Timestamp};

/// The same as TalkDesk's.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

const SIGNING_KEY: &[u8] = b"keytile sandbox, public on purpose";
const PREFIX: &str = "sandbox";

/// The content of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) account: String,
    /// The name of the account's region.
    region: String,
    pub(super) scopes: Vec<String>,
    /// In milliseconds since the Unix epoch.
    expires: i64,
    /// Makes tokens different that were issued in the same millisecond.
    serial: u64,
}

impl Claim {
    /// The region that the token was issued in.
    pub(super) fn region(&self) -> Option<Region> {
        Region::from_word(&self.region)
    }

    pub(super) fn allows(&self, scope: &str) -> bool {
        self.scopes.iter().any(|allowed| allowed == scope)
    }
}

/// Issues access tokens and verifies them.
pub(super) struct TokenIssuer {
    clock: Arc<dyn Clock>,
    issued: AtomicU64,
}

impl TokenIssuer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, issued: AtomicU64::new(0) }
    }

    /// A new token, different from every other.
    pub(super) fn issue(&self, account: &str, region: Region, scopes: &[&str]) -> String {
        let claim = Claim {
            account: account.to_owned(),
            region: region.word().to_owned(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            expires: self.clock.now().plus(LIFETIME).as_millis(),
            serial: self.issued.fetch_add(1, Ordering::Relaxed),
        };
        let payload = URL_SAFE_NO_PAD.encode(serde_json::json!(claim).to_string());
        let signature = signature_of(&payload).map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        format!("{PREFIX}.{payload}.{}", signature.unwrap_or_default())
    }

    /// The content of a token; `None` if it wasn't issued here or has expired.
    pub(super) fn check(&self, token: &str) -> Option<Claim> {
        let (payload, signature) = token.strip_prefix(PREFIX)?.strip_prefix('.')?.split_once('.')?;
        signature_of(payload)?.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let claim: Claim = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        (self.clock.now() < Timestamp::from_millis(claim.expires)).then_some(claim)
    }
}

/// `None` only if HMAC rejects the key, which it does for no length.
fn signature_of(payload: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING_KEY).ok()?;
    mac.update(payload.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;

    struct MovedClock(AtomicI64);

    impl Clock for MovedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    fn issuer_at(millis: i64) -> (Arc<MovedClock>, TokenIssuer) {
        let clock = Arc::new(MovedClock(AtomicI64::new(millis)));
        (Arc::clone(&clock), TokenIssuer::new(clock))
    }

    #[test]
    fn a_token_lives_for_ten_minutes_by_the_clock_that_was_handed_in() {
        let (clock, issuer) = issuer_at(1_000);
        let token = issuer.issue("acme", Region::Europe, &["users:read"]);
        let claim = issuer.check(&token).unwrap();
        assert_eq!((claim.account.as_str(), claim.region()), ("acme", Some(Region::Europe)));
        assert!(claim.allows("users:read") && !claim.allows("users:write"));

        clock.0.store(1_000 + 599_999, Ordering::Relaxed);
        assert!(issuer.check(&token).is_some());
        clock.0.store(1_000 + 600_000, Ordering::Relaxed);
        assert_eq!(issuer.check(&token), None);
    }

    #[test]
    fn a_token_outlives_the_issuer_that_made_it() {
        let (_, before) = issuer_at(5);
        let (_, after) = issuer_at(6);
        assert!(after.check(&before.issue("acme", Region::Canada, &[])).is_some());
    }

    #[test]
    fn two_tokens_of_one_millisecond_differ() {
        let (_, issuer) = issuer_at(0);
        assert_ne!(issuer.issue("acme", Region::Europe, &[]), issuer.issue("acme", Region::Europe, &[]));
    }

    #[test]
    fn a_changed_character_anywhere_makes_a_token_worthless() {
        let (_, issuer) = issuer_at(0);
        let token = issuer.issue("acme", Region::UnitedStates, &["account:read"]);
        // The last character of the signature has two bits that decoding ignores or rejects.
        for at in 0..token.len() - 1 {
            let swapped = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{swapped}{}", &token[..at], &token[at + 1..]);
            assert_eq!(issuer.check(&changed), None, "character {at} of {token}");
        }
        assert_eq!(issuer.check(""), None);
        assert_eq!(issuer.check("sandbox.."), None);
    }
}
