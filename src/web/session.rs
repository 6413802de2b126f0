//! The session cookie, the user that it stands for, and what a page needs to know about them.
//!
//! Every request of a page gets a [`Visitor`]. Handlers that require a sign-in take a [`SignedIn`], which only
//! exists while the session is live.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::{
    http::{client_address::ClientAddress, cookie::Cookie, error::PageError},
    middleware::request_id::RequestId,
    state::WebState,
};
use crate::service::{
    access::caller::{Caller, Origin, Person},
    auth::browser,
    auth::sessions::{LIFETIME, Session, SessionState},
};

const COOKIE: Cookie = Cookie { host: "__Host-keytile_session", kept: LIFETIME };
/// The longest cookie that is looked up, in bytes; Keytile's own have 43.
const COOKIE_MAX: usize = 64;
/// The page for setting up a second factor: the only one that a user who must set one up can open.
const SECOND_FACTOR: &str = "/settings/second-factor";
/// The characters that are not encoded in the `next` parameter of a sign-in.
const IN_NEXT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The sender of a request, according to its cookie.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) state: SessionState,
    /// Where the request comes from.
    pub(crate) origin: Origin,
    /// The CSRF token of the visitor's forms.
    pub(crate) form_token: Arc<str>,
    /// The `User-Agent` of the browser.
    pub(crate) agent: Arc<str>,
    /// The cookie for a visitor who came without one.
    new_cookie: Option<HeaderValue>,
}

impl Visitor {
    /// Gives a visitor who came without a cookie the one that their form token belongs to. Needed if a form is
    /// shown to someone who isn't signed in; nothing in the database refers to it.
    pub(crate) fn attach(&self, mut response: Response) -> Response {
        if let Some(cookie) = &self.new_cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        response
    }

    /// The visitor as a caller who isn't signed in.
    pub(crate) fn nobody(&self, name: impl Into<String>) -> Caller {
        Caller::nobody(name, self.origin.clone())
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.state {
            SessionState::Live(session) => Some(session),
            SessionState::SecondFactor(_) | SessionState::RanOut(_) | SessionState::None => None,
        }
    }

    /// The visitor as a caller: the user, if they are known.
    pub(crate) fn caller(&self) -> Caller {
        match self.session() {
            Some(session) => Caller::person(session.person.clone(), self.origin.clone()),
            None => self.nobody(""),
        }
    }
}

/// The middleware that determines the visitor of a request.
pub(crate) async fn identify(State(state): State<WebState>, mut request: Request, next: Next) -> Result<Response, PageError> {
    let secure = is_secure(&state);
    let cookie = session_cookie_of(&state, request.headers()).map(str::to_owned);
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let origin = Origin {
        address: request.extensions().get::<ClientAddress>().map(ToString::to_string).unwrap_or_default(),
        request: request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned()).unwrap_or_default(),
    };
    let visitor = match cookie {
        Some(cookie) => Visitor {
            state: state.service.resume_session(&cookie).await?,
            origin,
            form_token: browser::form_token(&cookie).into(),
            agent: agent.into(),
            new_cookie: None,
        },
        None => {
            let cookie = browser::new_secret();
            Visitor {
                state: SessionState::None,
                origin,
                form_token: browser::form_token(cookie.expose_secret()).into(),
                agent: agent.into(),
                new_cookie: Some(COOKIE.set(secure, cookie.expose_secret())?),
            }
        }
    };
    request.extensions_mut().insert(visitor.clone());
    let mut response = next.run(request).await;
    // For the page around an error.
    response.extensions_mut().insert(visitor);
    Ok(response)
}

/// Looks up the cookie again after something slow, because the session may have ended in the meantime.
pub(crate) async fn look_again(state: &WebState, headers: &HeaderMap, visitor: &mut Visitor) -> Result<(), PageError> {
    if let Some(cookie) = session_cookie_of(state, headers) {
        visitor.state = state.service.resume_session(cookie).await?;
    }
    Ok(())
}

fn session_cookie_of<'a>(state: &WebState, headers: &'a HeaderMap) -> Option<&'a str> {
    COOKIE.read(headers, is_secure(state)).filter(|cookie| cookie.len() <= COOKIE_MAX)
}

impl FromRequestParts<WebState> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, PageError> {
        // Only a route outside of `identify` has none.
        parts.extensions.get::<Self>().cloned().ok_or(PageError::NotFound)
    }
}

/// A user with a live session, and everything that a page for them needs.
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) caller: Caller,
    pub(crate) person: Person,
    /// `None` if the session has just expired, which only Save can see.
    pub(crate) session: Option<Session>,
    /// The CSRF token of the page's forms.
    pub(crate) form_token: Arc<str>,
}

impl SignedIn {
    /// The live session. An error if it has just expired.
    pub(crate) fn live(&self) -> Result<&Session, PageError> {
        self.session.as_ref().ok_or(PageError::NotFound)
    }
}

impl FromRequestParts<WebState> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, PageError> {
        parts.extensions.get::<Self>().cloned().ok_or(PageError::NotFound)
    }
}

/// The middleware that only lets signed-in users through; others are redirected to the sign-in, and back
/// afterwards.
pub(crate) async fn signed_in(State(state): State<WebState>, mut request: Request, next: Next) -> Result<Response, PageError> {
    let Some(visitor) = request.extensions().get::<Visitor>().cloned() else { return Err(PageError::NotFound) };
    let (person, session) = match visitor.state {
        SessionState::Live(session) if session.second_factor_due && request.uri().path() != SECOND_FACTOR => {
            return Ok(Redirect::to(SECOND_FACTOR).into_response());
        }
        SessionState::Live(session) => (session.person.clone(), Some(session)),
        // The one request that still gets through: its handler keeps the input and does nothing else.
        SessionState::RanOut(person) if is_save(&request) => (person, None),
        SessionState::SecondFactor(_) => return Ok(Redirect::to(&with_next("/sign-in/code", &wanted(&request))).into_response()),
        SessionState::RanOut(_) => return Ok(to_sign_in(&request)),
        SessionState::None if state.service.has_users().await? => return Ok(to_sign_in(&request)),
        SessionState::None => return Ok(Redirect::to("/setup").into_response()),
    };
    let caller = Caller::person(person.clone(), visitor.origin);
    request.extensions_mut().insert(SignedIn { caller, person, session, form_token: visitor.form_token });
    Ok(next.run(request).await)
}

fn is_save(request: &Request) -> bool {
    let path = request.uri().path();
    let edits = path.starts_with("/credentials/") && path.ends_with("/edit");
    request.method() == Method::POST && (path.ends_with("/credentials/new") || edits)
}

fn to_sign_in(request: &Request) -> Response {
    let mut response = Redirect::to(&sign_in_address(&wanted(request))).into_response();
    if request.method() != Method::GET && request.method() != Method::HEAD {
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    response
}

/// The page to return to after the sign-in.
fn wanted(request: &Request) -> String {
    match *request.method() {
        Method::GET | Method::HEAD => path_of(request.uri()).to_owned(),
        // The page that contains the form.
        _ => referring_page(request.headers()).unwrap_or_else(|| "/".to_owned()),
    }
}

/// The URL of the sign-in, with a page of Keytile to return to.
pub(crate) fn sign_in_address(wanted: &str) -> String {
    with_next("/sign-in", wanted)
}

/// The URL of a page of the sign-in, with a page of Keytile to return to.
pub(crate) fn with_next(address: &str, wanted: &str) -> String {
    match own_page(wanted) {
        "/" => address.to_owned(),
        page => format!("{address}?next={}", utf8_percent_encode(page, IN_NEXT)),
    }
}

/// The page to go to after a sign-in: a path of Keytile, or the start page for anything else, so that nobody is
/// redirected to another site (open redirect). Browsers read `\` as `/`, and `//` begins another host.
pub(crate) fn own_page(wanted: &str) -> &str {
    let is_path = wanted.starts_with('/') && !wanted[1..].starts_with(['/', '\\']);
    let is_plain = wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let leads_back = ["/sign-in", "/sign-out", "/setup", "/password", "/static/"].iter().any(|own| wanted.starts_with(own));
    if is_path && is_plain && !leads_back && wanted.len() <= 2_000 { wanted } else { "/" }
}

fn path_of(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

fn referring_page(headers: &HeaderMap) -> Option<String> {
    // Only the path is used, which can only lead to a page of Keytile.
    let address: Uri = headers.get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    Some(path_of(&address).to_owned())
}

/// The `Set-Cookie` header for a new session.
pub(crate) fn session_cookie(state: &WebState, value: &SecretString) -> Result<HeaderValue, PageError> {
    COOKIE.set(is_secure(state), value.expose_secret())
}

/// The `Set-Cookie` header that deletes the session cookie.
pub(crate) fn no_cookie(state: &WebState) -> Result<HeaderValue, PageError> {
    COOKIE.clear(is_secure(state))
}

pub(crate) fn is_secure(state: &WebState) -> bool {
    state.settings.public_url.scheme() == "https"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn over_https_the_cookie_belongs_to_this_host_alone() {
        let text = |secure| COOKIE.set(secure, "v").unwrap().to_str().unwrap().to_owned();
        assert_eq!(text(false), "keytile_session=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800");
        assert_eq!(text(true), "__Host-keytile_session=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800; Secure");
    }

    #[test]
    fn after_a_sign_in_one_lands_on_a_page_of_keytile() {
        for own in ["/", "/credentials", "/sources/new/x/configure?credential=1&q=a%20b", "/credentials/1#values"] {
            assert_eq!(own_page(own), own);
        }
        let others = [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "evil.example",
            "/a\r\nSet-Cookie: x=1",
            "/a b",
            "/\tevil",
            "/%0a\u{a0}",
            "/sign-in",
            "/sign-out",
            "/password?token=planted",
            "/a\\b",
        ];
        for other in others {
            assert_eq!(own_page(other), "/", "{other:?}");
        }
        assert_eq!(sign_in_address("/credentials?q=a&after=b"), "/sign-in?next=/credentials%3Fq%3Da%26after%3Db");
        assert_eq!(sign_in_address("//evil.example"), "/sign-in");
    }

    proptest! {
        /// Parsed like a browser does: with the same parser, relative to any page.
        #[test]
        fn no_page_to_go_on_to_leads_to_another_site(
            wanted in prop_oneof!["\\PC{0,60}", "[/\\\\.:@?#%a-f0-9 \t\r\n]{0,30}", "/{0,3}(https?:)?[/\\\\]{0,3}evil\\.example\\PC{0,9}"],
            page in prop_oneof!["/sign-in", "/credentials/x", "//"],
        ) {
            let base = url::Url::parse("https://keytile.example/").unwrap().join(&page.replace("//", "/")).unwrap();
            let next = own_page(&wanted);
            let landed = base.join(next).unwrap();
            prop_assert_eq!(landed.origin(), base.origin(), "{:?}", wanted);
            prop_assert!(landed.username().is_empty() && landed.password().is_none());
            // As the sign-in page receives it, and passes it on.
            let address = base.join(&sign_in_address(&wanted)).unwrap();
            prop_assert_eq!(address.path(), "/sign-in");
            let given = address.query_pairs().find(|(name, _)| name == "next").map_or("/".into(), |(_, next)| next);
            prop_assert_eq!(given, next);
        }
    }
}
