//! The device cookie, which identifies a browser that a user has signed in with before. It signs nobody in; it only
//! makes failures of this browser count separately from those of strangers.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{cookie::Cookie, error::PageError};
use crate::web::{session::is_secure, state::WebState};

/// Kept for a year after a sign-in.
const COOKIE: Cookie = Cookie { host: "__Host-keytile_device", kept: Duration::from_secs(365 * 24 * 3_600) };

/// The value of the device cookie in a request.
pub(crate) fn device_of<'a>(state: &WebState, headers: &'a HeaderMap) -> Option<&'a str> {
    COOKIE.read(headers, is_secure(state))
}

/// The `Set-Cookie` header for a browser that was just used to sign in.
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
