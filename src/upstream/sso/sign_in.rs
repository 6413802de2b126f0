//! A sign-in at the provider: its settings, what a browser keeps meanwhile, and what it brings back.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use url::Url;

use crate::crypto::random;

/// How this installation signs people in.
#[derive(Debug, Clone)]
pub struct SingleSignOnSettings {
    /// The identity provider: an `https` URL without a query. Its host may have a private address.
    pub issuer: Url,
    /// Keytile's client id at the provider.
    pub client_id: String,
    /// The client's secret; `None` for a public client, which only PKCE protects.
    pub client_secret: Option<SecretString>,
    /// Scopes to request in addition to `openid`, such as `email` and `profile`.
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups, such as `groups`. If no claim has the whole name, dots lead into
    /// objects, as in `realm_access.roles`. Empty if groups are not used.
    pub groups_claim: String,
}

impl SingleSignOnSettings {
    /// Whether this issuer can be safe; the error says what is wrong with it. Asks nobody.
    pub fn check_issuer(&self) -> Result<(), String> {
        own_host(&self.issuer).map(|_| ())
    }
}

/// The host of an issuer that can be used, or what is wrong with it.
pub(super) fn own_host(issuer: &Url) -> Result<String, String> {
    if issuer.scheme() != "https" {
        return Err(format!("the issuer must be an https address, and {} is not", issuer.scheme()));
    }
    if !issuer.username().is_empty() || issuer.password().is_some() {
        return Err("the issuer must not have a username or password".into());
    }
    if issuer.query().is_some() || issuer.fragment().is_some() {
        return Err("the issuer must not have a query or a fragment".into());
    }
    issuer.host_str().map(str::to_owned).ok_or_else(|| "the issuer has no host".into())
}

/// What is needed to check the response. The browser keeps it in the meantime, sealed, because all of it is secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// Proves that the response belongs to a sign-in that this browser began (RFC 6749 section 10.12).
    #[serde(serialize_with = "expose", deserialize_with = "secret")]
    pub(super) state: SecretString,
    /// Proves that the ID token was issued for this sign-in.
    #[serde(serialize_with = "expose", deserialize_with = "secret")]
    pub(super) nonce: SecretString,
    /// Proves that the code is redeemed by the client that asked for it (RFC 7636).
    #[serde(serialize_with = "expose", deserialize_with = "secret")]
    pub(super) pkce_verifier: SecretString,
}

/// The query parameters with which the provider sends the browser back. Others are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CallbackAnswer {
    #[serde(deserialize_with = "optional_secret")]
    pub code: Option<SecretString>,
    /// The state from the authorization request.
    #[serde(deserialize_with = "optional_secret")]
    pub state: Option<SecretString>,
    /// The issuer that responds (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code, as an error code.
    pub error: Option<String>,
    /// Why there is no code, in words for people.
    pub error_description: Option<String>,
}

impl PendingSignIn {
    pub(super) fn new() -> Self {
        // Each has 43 letters, as few as a verifier may have (RFC 7636 section 4.1).
        Self { state: random::url_token(), nonce: random::url_token(), pkce_verifier: random::url_token() }
    }
}

pub(super) fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    // An error of the library could repeat what it has read.
    String::deserialize(deserializer).map(Into::into).map_err(|_| serde::de::Error::custom("a text is missing"))
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_survives_being_kept_and_is_not_printed() {
        let pending = PendingSignIn::new();
        let kept = serde_json::to_string(&pending).unwrap();
        let again: PendingSignIn = serde_json::from_str(&kept).unwrap();
        for (one, other) in
            [(&pending.state, &again.state), (&pending.nonce, &again.nonce), (&pending.pkce_verifier, &again.pkce_verifier)]
        {
            assert!(same(one, other) && one.expose_secret().len() == 43);
            assert!(!format!("{pending:?}").contains(one.expose_secret()));
        }
        assert!(!same(&pending.state, &pending.nonce));
        assert!(serde_json::from_str::<PendingSignIn>(r#"{"state":"a","nonce":"b"}"#).is_err());
    }

    #[test]
    fn an_answer_is_read_from_a_query_and_hides_its_code() {
        let answer: CallbackAnswer = serde_json::from_str(r#"{"code":"c0de","state":"st4te","session_state":"x"}"#).unwrap();
        assert_eq!(answer.code.as_ref().unwrap().expose_secret(), "c0de");
        assert!(answer.error.is_none() && answer.iss.is_none());
        let shown = format!("{answer:?}");
        assert!(!shown.contains("c0de") && !shown.contains("st4te"), "{shown}");
    }

    #[test]
    fn an_issuer_that_cannot_be_safe_is_refused() {
        let host = |issuer: &str| own_host(&issuer.parse().unwrap());
        assert_eq!(host("https://id.example/realms/a"), Ok("id.example".into()));
        for issuer in
            ["http://id.example", "https://a@id.example", "https://:b@id.example", "https://id.example?a", "https://id.example#a"]
        {
            assert!(host(issuer).is_err(), "{issuer}");
        }
    }
}
