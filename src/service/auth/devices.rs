//! Browsers that somebody has signed in with before. Their failures are counted apart, so that strangers who try
//! passwords at an account cannot keep its owner out.
//!
//! Such a browser has a cookie with a random number and a keyed hash of it and the account (OWASP, “Device
//! cookies”). It proves nothing but that, and lets nobody in.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    crypto::{hash::equal_in_constant_time, random},
    domain::users::UserId,
    service::Service,
};

/// Bytes of the random number.
const NONCE: usize = 16;
/// Characters of a device cookie: the number and a hash of 32 bytes, in base64 without padding.
const LENGTH: usize = (NONCE + 32) * 4 / 3;

/// A browser that somebody has signed in with before.
#[derive(Clone, Copy)]
pub(in crate::service) struct Device([u8; NONCE]);

impl Device {
    /// What tells it from others.
    pub(in crate::service) fn id(&self) -> &[u8; NONCE] {
        &self.0
    }
}

impl Service {
    /// The browser that this cookie was given to when it signed in to this account.
    pub(in crate::service) fn known_device(&self, user: UserId, cookie: &str) -> Option<Device> {
        if cookie.len() != LENGTH {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let device = Device(*bytes.first_chunk()?);
        equal_in_constant_time(self.cookie_of(user, device).expose_secret(), cookie).then_some(device)
    }

    /// The cookie for a browser that has just signed in to an account: the one it has, if that is for this account,
    /// and otherwise a new one.
    pub(in crate::service) fn device_cookie(&self, user: UserId, present: Option<Device>) -> SecretString {
        self.cookie_of(user, present.unwrap_or_else(|| Device(random::bytes())))
    }

    fn cookie_of(&self, user: UserId, device: Device) -> SecretString {
        let mac = self.0.fingerprint.of(&[b"sign-in device", user.as_bytes(), &device.0]);
        BASE64_URL_SAFE_NO_PAD.encode([&device.0[..], &mac].concat()).into()
    }
}
