//! Single sign-on by OpenID Connect: the half that calls out.
//!
//! The authorization code flow (OpenID Connect Core section 3.1) with PKCE (RFC 7636, always S256), state
//! and nonce. A browser is sent to the provider by [`Upstream::begin_sign_in`] and comes back with an
//! answer that [`Upstream::finish_sign_in`] turns into an [`ExternalIdentity`]. Who that is in Keytile,
//! and what they may do, is decided elsewhere. Of what the provider sends, nothing is believed that is
//! not signed or fetched from it over TLS, and nothing secret gets into an error.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use tokio::time::Instant as Deadline;
use url::Url;

use super::{
    client::Caller,
    fault::SingleSignOnError,
    identity::{ExternalIdentity, Said},
    provider::Provider,
    token::{Issued, Tokens},
};
use crate::{crypto::random, upstream::Upstream};

/// How this installation signs people in.
#[derive(Debug, Clone)]
pub struct SingleSignOnSettings {
    /// Who vouches for people: an `https` address without a query. Its host may have a private address.
    pub issuer: Url,
    /// The client that the provider knows Keytile by.
    pub client_id: String,
    /// The client's secret; none for a public client, which PKCE alone protects.
    pub client_secret: Option<SecretString>,
    /// What to ask for beside `openid`, such as `email` and `profile`.
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups, such as `groups`. Where no claim has this whole name, dots lead
    /// into objects, as in `realm_access.roles`. Empty when groups do not matter.
    pub groups_claim: String,
}

impl SingleSignOnSettings {
    /// Whether this issuer can be safe; the error says what is wrong with it. Asks nobody.
    pub fn check_issuer(&self) -> Result<(), String> {
        super::provider::own_host(&self.issuer).map(|_| ())
    }
}

/// What must come back with the answer. The browser keeps it meanwhile, sealed: it is a secret as a whole.
#[derive(Debug, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// Shows that the answer is one to this browser's question (RFC 6749 section 10.12).
    #[serde(serialize_with = "expose", deserialize_with = "secret")]
    pub(super) state: SecretString,
    /// Shows that the ID token was issued for this question.
    #[serde(serialize_with = "expose", deserialize_with = "secret")]
    pub(super) nonce: SecretString,
    /// Shows that who redeems the code is who asked for it (RFC 7636).
    #[serde(serialize_with = "expose", deserialize_with = "secret")]
    pub(super) pkce_verifier: SecretString,
}

/// What the provider sends the browser back with: the parameters of the query. Others are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CallbackAnswer {
    /// The authorization code.
    #[serde(deserialize_with = "optional_secret")]
    pub code: Option<SecretString>,
    /// The state as it was sent.
    #[serde(deserialize_with = "optional_secret")]
    pub state: Option<SecretString>,
    /// The issuer that answers (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code, as a word.
    pub error: Option<String>,
    /// The same for people.
    pub error_description: Option<String>,
}

impl Upstream {
    /// The address to send the browser to, and what to keep until it comes back to `redirect`.
    ///
    /// # Errors
    /// When the provider cannot be reached or its configuration cannot be used.
    pub async fn begin_sign_in(
        &self,
        settings: &SingleSignOnSettings,
        redirect: &Url,
    ) -> Result<(Url, PendingSignIn), SingleSignOnError> {
        let caller = self.caller(settings)?;
        let provider = self.providers.get(settings, &caller, self.clock.now()).await?;
        let pending = PendingSignIn::new();
        Ok((super::token::authorization_url(&provider, settings, redirect, &pending), pending))
    }

    /// Who has signed in, from what the browser brought back. `redirect` is the one that it was sent with.
    ///
    /// # Errors
    /// When the provider refused or cannot be reached, and when anything of the answer is not as it must
    /// be. Whatever the reason, nobody is signed in.
    pub async fn finish_sign_in(
        &self,
        settings: &SingleSignOnSettings,
        redirect: &Url,
        pending: &PendingSignIn,
        answer: &CallbackAnswer,
    ) -> Result<ExternalIdentity, SingleSignOnError> {
        // The state comes first: what another site has made a browser bring here is not even looked at.
        if !answer.state.as_ref().is_some_and(|state| same(state, &pending.state)) {
            return Err(SingleSignOnError::ForeignAnswer);
        }
        let caller = self.caller(settings)?;
        let provider = self.providers.get(settings, &caller, self.clock.now()).await?;
        if !provider.answers_as(answer.iss.as_deref()) {
            return Err(SingleSignOnError::OtherIssuer);
        }
        if let Some(error) = &answer.error {
            return Err(SingleSignOnError::refused(error, answer.error_description.as_deref(), settings, pending, answer));
        }
        let code = answer.code.as_ref().ok_or(SingleSignOnError::Answer("it has neither a code nor an error".into()))?;
        let tokens = super::token::exchange(&provider, settings, redirect, pending, code, &caller).await;
        let tokens = tokens.map_err(|fault| fault.into_error(settings, pending, answer))?;
        let (provider, issued) = self.verified(provider, settings, pending, tokens, &caller).await?;
        let said = Said::in_id_token(&issued.claims, &settings.groups_claim);
        let said = if said.is_complete(&settings.groups_claim) {
            said
        } else {
            said.or(super::token::user_info(&provider, settings, &issued, &caller).await?)
        };
        Ok(said.into_identity(provider.issuer(), issued.subject()))
    }

    /// The claims of the ID token. A key that is not known may be newer than what is known of the
    /// provider, so its keys are fetched anew, once.
    async fn verified(
        &self,
        mut provider: Arc<Provider>,
        settings: &SingleSignOnSettings,
        pending: &PendingSignIn,
        tokens: Tokens,
        caller: &Caller<'_>,
    ) -> Result<(Arc<Provider>, Issued), SingleSignOnError> {
        let now = self.clock.now();
        let mut verdict = super::token::verify(&provider, settings, pending, &tokens, now);
        if verdict.as_ref().is_err_and(|fault| fault.may_be_of_old_keys()) {
            provider = self.providers.newer_than(&provider, settings, caller, now).await?;
            verdict = super::token::verify(&provider, settings, pending, &tokens, now);
        }
        let claims = verdict.map_err(SingleSignOnError::InvalidToken)?;
        Ok((provider, tokens.into_issued(claims)))
    }

    /// Calls for one step of a sign-in, which ends within the time of one request.
    fn caller(&self, settings: &SingleSignOnSettings) -> Result<Caller<'_>, SingleSignOnError> {
        let own_host = super::provider::own_host(&settings.issuer).map_err(SingleSignOnError::Settings)?;
        Ok(Caller {
            guarded: &self.exchanger,
            trusted: &self.providers.exchanger,
            own_host,
            deadline: Deadline::now() + self.limits.request,
        })
    }
}

impl PendingSignIn {
    fn new() -> Self {
        // Each has 43 letters, as few as a verifier may have (RFC 7636 section 4.1).
        Self { state: random::url_token(), nonce: random::url_token(), pkce_verifier: random::url_token() }
    }
}

fn same(one: &SecretString, other: &SecretString) -> bool {
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
}
