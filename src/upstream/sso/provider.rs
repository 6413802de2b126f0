//! A provider's configuration (OpenID Connect Discovery section 4) and its keys, cached for some minutes.
//!
//! The endpoints that it names must be `https`. Whether they may be connected to is checked when they are called.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::{
    AuthType, AuthUrl, DiscoveryError, HttpRequest, IssuerUrl, JsonWebKeySetUrl, TokenUrl, UserInfoUrl,
    core::{CoreJsonWebKey, CoreJsonWebKeySet},
};
use reqwest::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout_at,
};
use url::Url;

use super::{
    client::{CallFault, Caller},
    fault::SingleSignOnError,
    sign_in::SingleSignOnSettings,
};
use crate::{domain::time::Timestamp, upstream::client::exchange::Exchanger};

/// How long a provider's configuration is cached.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// The shortest RSA key, in bits (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2048;

/// A provider, from its configuration document.
pub(in crate::upstream) struct Provider {
    /// Exactly as the provider writes it, because identifiers are compared as they are.
    pub(in crate::upstream) id: IssuerUrl,
    pub(in crate::upstream) authorization: AuthUrl,
    pub(in crate::upstream) token: TokenUrl,
    pub(in crate::upstream) userinfo: Option<UserInfoUrl>,
    pub(in crate::upstream) keys: CoreJsonWebKeySet,
    /// How the client secret is sent.
    pub(in crate::upstream) auth: AuthType,
    /// True if the provider names itself in every response (RFC 9207 section 3).
    names_itself: bool,
}

impl Provider {
    pub(in crate::upstream) fn issuer(&self) -> &str {
        self.id.as_str()
    }

    /// True if a response with this `iss` can be from this provider (RFC 9207 section 2.4).
    pub(in crate::upstream) fn answers_as(&self, iss: Option<&str>) -> bool {
        iss.map_or(!self.names_itself, |iss| iss == self.issuer())
    }
}

/// The cached provider, and an exchanger for hosts that operators name.
pub(in crate::upstream) struct Providers {
    pub(in crate::upstream) exchanger: Exchanger,
    /// Locked during a fetch, so that several sign-ins at the same time cause only one.
    known: Mutex<Option<Known>>,
}

struct Known {
    /// The issuer as configured.
    issuer: Url,
    provider: Arc<Provider>,
    since: Timestamp,
}

impl Providers {
    /// Starts with an empty cache. The exchanger must allow every address.
    pub(in crate::upstream) fn new(exchanger: Exchanger) -> Self {
        Self { exchanger, known: Mutex::new(None) }
    }

    /// The provider of the settings, asked at most some minutes ago.
    pub(in crate::upstream) async fn get(
        &self,
        settings: &SingleSignOnSettings,
        caller: &Caller<'_>,
        now: Timestamp,
    ) -> Result<Arc<Provider>, SingleSignOnError> {
        let mut known = self.lock(caller).await?;
        match &*known {
            Some(known) if known.issuer == settings.issuer && now.since(known.since) < FRESH => Ok(Arc::clone(&known.provider)),
            _ => fetch_into(&mut known, settings, caller, now).await,
        }
    }

    /// The provider, fetched again unless it is already newer than `stale`.
    pub(in crate::upstream) async fn newer_than(
        &self,
        stale: &Arc<Provider>,
        settings: &SingleSignOnSettings,
        caller: &Caller<'_>,
        now: Timestamp,
    ) -> Result<Arc<Provider>, SingleSignOnError> {
        let mut known = self.lock(caller).await?;
        match &*known {
            Some(known) if known.issuer == settings.issuer && !Arc::ptr_eq(&known.provider, stale) => {
                Ok(Arc::clone(&known.provider))
            }
            _ => fetch_into(&mut known, settings, caller, now).await,
        }
    }

    async fn lock(&self, caller: &Caller<'_>) -> Result<MutexGuard<'_, Option<Known>>, SingleSignOnError> {
        let locked = timeout_at(caller.deadline, self.known.lock()).await;
        locked.map_err(|_| SingleSignOnError::Unreachable(format!("{} does not answer in time", caller.own_host)))
    }
}

async fn fetch_into(
    known: &mut Option<Known>,
    settings: &SingleSignOnSettings,
    caller: &Caller<'_>,
    now: Timestamp,
) -> Result<Arc<Provider>, SingleSignOnError> {
    let provider = Arc::new(fetch(&settings.issuer, caller).await?);
    *known = Some(Known { issuer: settings.issuer.clone(), provider: Arc::clone(&provider), since: now });
    Ok(provider)
}

/// The document of OpenID Connect Discovery section 3, as far as it is used. All of it is text, so that
/// an empty address that is not needed does no harm.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    jwks_uri: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

async fn fetch(issuer: &Url, caller: &Caller<'_>) -> Result<Provider, SingleSignOnError> {
    let wrong = SingleSignOnError::Discovery;
    let address = format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/'));
    let mut request = HttpRequest::new(Vec::new());
    *request.uri_mut() = address.parse().map_err(|_| wrong(format!("{address} is no address")))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = caller.send(request).await.map_err(CallFault::of_discovery)?;
    if answer.status().as_u16() != 200 {
        return Err(wrong(format!("{address} answers with status {}; check the issuer", answer.status().as_u16())));
    }
    let document: Document = serde_json::from_slice(answer.body())
        .map_err(|_| wrong(format!("what {address} answers is not an OpenID Connect configuration; check the issuer")))?;
    if !is_same_issuer(&document.issuer, issuer) {
        // It is untrusted text, so only the normalized URL is shown.
        let named = document.issuer.parse::<Url>().map_or_else(|_| "something else".into(), |url| cut(url.as_str()));
        return Err(wrong(format!("it calls itself {named}, and the issuer is set to {issuer}; both must be equal")));
    }
    let mut provider = Provider {
        authorization: AuthUrl::from_url(endpoint("authorization_endpoint", document.authorization_endpoint)?),
        token: TokenUrl::from_url(endpoint("token_endpoint", document.token_endpoint)?),
        userinfo: match document.userinfo_endpoint.filter(|address| !address.is_empty()) {
            Some(address) => Some(UserInfoUrl::from_url(endpoint("userinfo_endpoint", Some(address))?)),
            None => None,
        },
        auth: auth_type(document.token_endpoint_auth_methods_supported.as_deref()),
        names_itself: document.authorization_response_iss_parameter_supported,
        keys: CoreJsonWebKeySet::default(),
        id: IssuerUrl::new(document.issuer).map_err(|_| wrong("its issuer is no address".into()))?,
    };
    let keys = JsonWebKeySetUrl::from_url(endpoint("jwks_uri", document.jwks_uri)?);
    provider.keys = fetch_keys(&keys, caller).await?;
    Ok(provider)
}

async fn fetch_keys(address: &JsonWebKeySetUrl, caller: &Caller<'_>) -> Result<CoreJsonWebKeySet, SingleSignOnError> {
    let keys = CoreJsonWebKeySet::fetch_async(address, caller).await.map_err(|error| match error {
        DiscoveryError::Request(fault) => fault.of_discovery(),
        DiscoveryError::Response(status, ..) => {
            SingleSignOnError::Discovery(format!("its jwks_uri answers with status {}, or not with keys", status.as_u16()))
        }
        _ => SingleSignOnError::Discovery("what its jwks_uri answers is not a set of keys".into()),
    })?;
    Ok(CoreJsonWebKeySet::new(keys.keys().iter().filter(|key| is_strong(key)).cloned().collect()))
}

/// The same text, except for the slash that parsing adds to a URL without a path.
fn is_same_issuer(named: &str, set: &Url) -> bool {
    named == set.as_str() || (set.path() == "/" && set.as_str().strip_suffix('/') == Some(named))
}

fn endpoint(name: &str, address: Option<String>) -> Result<Url, SingleSignOnError> {
    let wrong = |reason: &str| SingleSignOnError::Discovery(format!("its {name} {reason}"));
    let address = address.ok_or_else(|| wrong("is missing"))?;
    let url: Url = address.parse().map_err(|_| wrong("is no address"))?;
    if url.scheme() != "https" || url.host_str().is_none() {
        return Err(wrong("is not an https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user name or a password"));
    }
    Ok(url)
}

/// The authorization header, unless the provider only supports the body.
fn auth_type(supported: Option<&[String]>) -> AuthType {
    // If nothing is listed, the header is the default (OpenID Connect Discovery section 3).
    let offers = |method: &str| supported.is_none_or(|methods| methods.iter().any(|offered| offered == method));
    if !offers("client_secret_basic") && offers("client_secret_post") { AuthType::RequestBody } else { AuthType::BasicAuth }
}

/// False for an RSA key that is too short to be secure.
fn is_strong(key: &CoreJsonWebKey) -> bool {
    let Ok(key) = serde_json::to_value(key) else { return false };
    if key["kty"] != "RSA" {
        return true;
    }
    let modulus = key["n"].as_str().and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let bits = modulus.get(leading).map_or(0, |first| (modulus.len() - leading) * 8 - first.leading_zeros() as usize);
    bits >= RSA_BITS_MIN
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_compared_letter_by_letter_but_for_the_slash_of_a_bare_host() {
        let same = |named: &str, set: &str| is_same_issuer(named, &set.parse().unwrap());
        assert!(same("https://id.example", "https://id.example") && same("https://id.example/", "https://id.example"));
        assert!(same("https://id.example/a", "https://id.example/a") && same("https://id.example/a/", "https://id.example/a/"));
        for (named, set) in [
            ("https://id.example/a/", "https://id.example/a"),
            ("https://id.example/a", "https://id.example/a/"),
            ("https://id.example//", "https://id.example"),
            ("https://ID.example", "https://id.example"),
            ("http://id.example", "https://id.example"),
            ("", "https://id.example"),
        ] {
            assert!(!same(named, set), "{named} {set}");
        }
    }

    #[test]
    fn the_secret_goes_into_the_body_only_where_nothing_else_is_offered() {
        let with = |methods: &[&str]| {
            let methods: Vec<String> = methods.iter().map(|method| (*method).to_owned()).collect();
            matches!(auth_type(Some(&methods)), AuthType::RequestBody)
        };
        assert!(with(&["client_secret_post"]) && with(&["private_key_jwt", "client_secret_post"]));
        assert!(!with(&["client_secret_post", "client_secret_basic"]) && !with(&["private_key_jwt"]) && !with(&[]));
        assert!(matches!(auth_type(None), AuthType::BasicAuth));
    }

    #[test]
    fn short_rsa_keys_are_left_out() {
        let rsa = |modulus: &[u8]| CoreJsonWebKey::new_rsa(modulus.to_vec(), vec![1, 0, 1], None);
        let padded: Vec<u8> = [0].into_iter().chain([0xFF; 256]).collect();
        assert!(is_strong(&rsa(&[0xFF; 256])) && is_strong(&rsa(&padded)));
        let mut short = [0xFF; 256];
        short[0] = 0x7F;
        assert!(!is_strong(&rsa(&short)) && !is_strong(&rsa(&[0xFF; 128])) && !is_strong(&rsa(&[0; 256])) && !is_strong(&rsa(&[])));
    }
}
