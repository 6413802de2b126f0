//! Cookies: reading one, and the only format in which Keytile sets them.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use super::error::PageError;

pub(crate) struct Cookie {
    /// The name under HTTPS; over plain HTTP it has no `__Host-` prefix. A browser accepts a cookie with this
    /// prefix only if it is Secure and for exactly this host (RFC 6265bis section 4.1.3.2), so that a neighbouring
    /// host can't set it.
    pub(crate) host: &'static str,
    /// How long a browser keeps it.
    pub(crate) kept: Duration,
}

impl Cookie {
    /// Its value in a request.
    pub(crate) fn read<'a>(&self, headers: &'a HeaderMap, secure: bool) -> Option<&'a str> {
        // A browser may send several `Cookie` headers, each with several cookies.
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name(secure)).map(|(_, value)| value)
    }

    /// The `Set-Cookie` header that sets it.
    pub(crate) fn set(&self, secure: bool, value: &str) -> Result<HeaderValue, PageError> {
        self.header(secure, value, self.kept)
    }

    /// The `Set-Cookie` header that deletes it.
    pub(crate) fn clear(&self, secure: bool) -> Result<HeaderValue, PageError> {
        self.header(secure, "", Duration::ZERO)
    }

    fn name(&self, secure: bool) -> &'static str {
        if secure { self.host } else { self.host.trim_start_matches("__Host-") }
    }

    /// `SameSite=Lax`, so that a link on another site finds the user signed in, and a single sign-on provider can
    /// send the browser back; with `Strict` the cookie would not be sent.
    fn header(&self, secure: bool, value: &str, kept: Duration) -> Result<HeaderValue, PageError> {
        let attributes = if secure { "; Secure" } else { "" };
        let (name, age) = (self.name(secure), kept.as_secs());
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{attributes}");
        let mut cookie = HeaderValue::from_str(&text).map_err(PageError::internal)?;
        cookie.set_sensitive(true);
        Ok(cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COOKIE: Cookie = Cookie { host: "__Host-keytile_session", kept: Duration::from_secs(604_800) };

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; xkeytile_session=no"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=2;  keytile_session=yes=; c=3"));
        assert_eq!(COOKIE.read(&headers, false), Some("yes="));
        assert_eq!(COOKIE.read(&headers, true), None);
    }

    proptest! {
        #[test]
        fn what_was_set_is_read_among_whatever_else(
            before in "[ -:<-~]{0,40}",
            value in "[A-Za-z0-9_=-]{1,64}",
            after in "[ -~]{0,40}",
            secure: bool,
        ) {
            let set = COOKIE.set(secure, &value).unwrap();
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_str(&format!("{before};{pair};{after}")).unwrap());
            prop_assert_eq!(COOKIE.read(&headers, secure), Some(value.as_str()));
        }

        #[test]
        fn anything_can_come_in_its_place(bytes in prop::collection::vec(any::<u8>(), 0..200), secure: bool) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(header::COOKIE, value);
                if let Some(found) = COOKIE.read(&headers, secure) {
                    prop_assert!(!found.contains(';'));
                }
            }
        }
    }
}
