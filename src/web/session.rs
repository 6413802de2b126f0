//! The session cookie. A session is started only when a form is opened, because until accounts exist
//! it says nothing but which drafts are whose.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::Response,
};
use secrecy::ExposeSecret;

use super::{error::PageError, state::WebState};
use crate::service::sessions::Session;

const PLAIN_NAME: &str = "keytile_session";
/// A browser keeps a cookie of this prefix only if it is Secure, for the whole host and for no other
/// (RFC 6265bis section 4.1.3.2), so that a neighbouring host cannot set it.
const HOST_NAME: &str = "__Host-keytile_session";

/// The session of a request: the one of its cookie, or a new one.
pub(crate) struct OpenSession {
    /// The session.
    pub(crate) session: Session,
    cookie: Option<HeaderValue>,
}

impl OpenSession {
    /// Gives the cookie of a new session to the browser.
    pub(crate) fn attach(&self, mut response: Response) -> Response {
        if let Some(cookie) = &self.cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        response
    }
}

impl FromRequestParts<WebState> for OpenSession {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let secure = state.settings.public_url.scheme() == "https";
        if let Some(cookie) = cookie_of(&parts.headers, name(secure))
            && let Some(session) = state.service.resume_session(cookie).await?
        {
            return Ok(Self { session, cookie: None });
        }
        let (session, value) = state.service.start_session().await?;
        let mut cookie = HeaderValue::from_str(&set_cookie(secure, value.expose_secret())).map_err(PageError::internal)?;
        cookie.set_sensitive(true);
        Ok(Self { session, cookie: Some(cookie) })
    }
}

const fn name(secure: bool) -> &'static str {
    if secure { HOST_NAME } else { PLAIN_NAME }
}

/// The value of a cookie. A browser may send several Cookie headers, each with several cookies.
fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn set_cookie(secure: bool, value: &str) -> String {
    format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{}", name(secure), if secure { "; Secure" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; xkeytile_session=no"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=2;  keytile_session=yes=; c=3"));
        assert_eq!(cookie_of(&headers, PLAIN_NAME), Some("yes="));
        assert_eq!(cookie_of(&headers, HOST_NAME), None);
    }

    #[test]
    fn over_https_the_cookie_belongs_to_this_host_alone() {
        assert_eq!(set_cookie(false, "v"), "keytile_session=v; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(set_cookie(true, "v"), "__Host-keytile_session=v; Path=/; HttpOnly; SameSite=Lax; Secure");
    }
}
