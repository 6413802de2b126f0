//! The device cookie, by which a browser is known that somebody has signed in with before. It lets nobody in; it
//! only has the failures of this browser counted apart from those of strangers.

use axum::http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::PageError,
    session::{cookie_of, is_secure},
    state::WebState,
};

const PLAIN_NAME: &str = "keytile_device";
const HOST_NAME: &str = "__Host-keytile_device";
/// How long a browser keeps it after a sign-in, in seconds: a year.
const KEPT: u64 = 365 * 24 * 3_600;

/// What the device cookie of a request holds.
pub(crate) fn device_of<'a>(state: &WebState, headers: &'a HeaderMap) -> Option<&'a str> {
    cookie_of(headers, name(is_secure(state)))
}

/// The device cookie of a browser that somebody has just signed in with.
pub(crate) fn device_cookie(state: &WebState, value: &SecretString) -> Result<HeaderValue, PageError> {
    set_cookie(is_secure(state), value)
}

const fn name(secure: bool) -> &'static str {
    if secure { HOST_NAME } else { PLAIN_NAME }
}

fn set_cookie(secure: bool, value: &SecretString) -> Result<HeaderValue, PageError> {
    let attributes = if secure { "; Secure" } else { "" };
    let text = format!("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={KEPT}{attributes}", name(secure), value.expose_secret());
    let mut cookie = HeaderValue::from_str(&text).map_err(PageError::internal)?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_for_a_year_and_out_of_reach_of_scripts_and_other_hosts() {
        let text = |secure| set_cookie(secure, &"v".into()).unwrap().to_str().unwrap().to_owned();
        assert_eq!(text(false), "keytile_device=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000");
        assert_eq!(text(true), "__Host-keytile_device=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000; Secure");
    }
}
