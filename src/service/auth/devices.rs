//! Device cookies: browsers that a user has signed in with before. Their failures are counted separately, so that
//! strangers who try passwords for an account can't lock its owner out.
//!
//! The cookie contains a random number, and a keyed hash of the number and the user (OWASP, "Slow Down Online
//! Guessing Attacks with Device Cookies"). It proves nothing else and doesn't sign anybody in.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    crypto::{hash::equal_in_constant_time, random},
    domain::users::UserId,
    service::Service,
};

/// The size of the random number, in bytes.
const NONCE: usize = 16;
/// The length of a device cookie in characters: random number and 32-byte hash, in base64 without padding.
const LENGTH: usize = (NONCE + 32) * 4 / 3;

/// A browser that a user has signed in with before.
#[derive(Clone, Copy)]
pub(in crate::service) struct Device([u8; NONCE]);

impl Device {
    /// The random number, which is different for each browser.
    pub(in crate::service) fn id(&self) -> &[u8; NONCE] {
        &self.0
    }
}

impl Service {
    /// The device of this cookie, if the cookie was given out for this user.
    pub(in crate::service) fn known_device(&self, user: UserId, cookie: &str) -> Option<Device> {
        if cookie.len() != LENGTH {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let device = Device(*bytes.first_chunk()?);
        equal_in_constant_time(self.cookie_of(user, device).expose_secret(), cookie).then_some(device)
    }

    /// The cookie for a browser that has just signed in: the current device if it is known for this user, otherwise
    /// a new one.
    pub(in crate::service) fn device_cookie(&self, user: UserId, present: Option<Device>) -> SecretString {
        self.cookie_of(user, present.unwrap_or_else(|| Device(random::bytes())))
    }

    fn cookie_of(&self, user: UserId, device: Device) -> SecretString {
        let mac = self.0.fingerprint.of(&[b"sign-in device", user.as_bytes(), &device.0]);
        BASE64_URL_SAFE_NO_PAD.encode([&device.0[..], &mac].concat()).into()
    }
}
