//! The device cookie, by which a browser is known that somebody has signed in with before. It lets nobody in; it
//! only has the failures of this browser counted apart from those of strangers.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{cookie::Cookie, error::PageError};
use crate::web::{session::is_secure, state::WebState};

/// Kept for a year after a sign-in.
const COOKIE: Cookie = Cookie { host: "__Host-keytile_device", kept: Duration::from_secs(365 * 24 * 3_600) };

/// What the device cookie of a request holds.
pub(crate) fn device_of<'a>(state: &WebState, headers: &'a HeaderMap) -> Option<&'a str> {
    COOKIE.read(headers, is_secure(state))
}

/// The device cookie of a browser that somebody has just signed in with.
pub(crate) fn device_cookie(state: &WebState, value: &SecretString) -> Result<HeaderValue, PageError> {
    COOKIE.set(is_secure(state), value.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_for_a_year_and_out_of_reach_of_scripts_and_other_hosts() {
        let text = |secure| COOKIE.set(secure, "v").unwrap().to_str().unwrap().to_owned();
        assert_eq!(text(false), "keytile_device=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000");
        assert_eq!(text(true), "__Host-keytile_device=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000; Secure");
    }
}
