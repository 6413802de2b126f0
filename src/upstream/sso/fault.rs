//! Why a sign-in failed, in words for people and operators.
//!
//! The text is Keytile's own, or the provider's with every secret redacted and cut to a maximum length. No variant
//! contains a raw response.

use super::sign_in::{CallbackAnswer, PendingSignIn, SingleSignOnSettings};
use crate::{
    domain::credentials::verification::SERVICE_WORDS_MAX,
    upstream::{
        diagnosis::redactor::Redactor,
        oauth::encodings::{form_pair, raw_pair},
    },
};
use secrecy::{ExposeSecret, SecretString};

/// The longest error code, in characters.
const ERROR_MAX: usize = 100;

/// Why a sign-in failed. Each variant displays as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SingleSignOnError {
    /// The settings of this installation cannot work.
    #[error("Single sign-on isn't set up correctly: {0}.")]
    Settings(String),
    /// The provider is away, does not answer in time or answers that it cannot.
    #[error("Keytile can't use the identity provider right now: {0}.")]
    Unreachable(String),
    /// What the provider says of itself cannot be used.
    #[error("Keytile can't use the identity provider's configuration: {0}.")]
    Discovery(String),
    /// The provider refused the sign-in, with its own message.
    #[error("The identity provider refused the sign-in: {error}{}.", described(.description))]
    Refused {
        /// The error code of RFC 6749 or OpenID Connect, such as `access_denied` or `invalid_client`.
        error: String,
        /// The provider's description of the error.
        description: Option<String>,
    },
    /// The state is missing or another one: another site, an old page or another browser.
    #[error("This response doesn't belong to a sign-in started in this browser. Start again.")]
    ForeignAnswer,
    /// The answer comes from another provider than the one that was asked (RFC 9207), or does not say
    /// from which although this provider always does.
    #[error("This response isn't from the identity provider that this sign-in started with.")]
    OtherIssuer,
    /// The answer to the browser, of the token endpoint or of the userinfo endpoint cannot be used.
    #[error("Keytile can't use the identity provider's response: {0}.")]
    Answer(String),
    /// The ID token does not prove who this is.
    #[error("The identity provider's ID token isn't valid: {0}.")]
    InvalidToken(TokenFault),
    /// The userinfo endpoint speaks of somebody else than the ID token.
    #[error("The identity provider's userinfo is about a different person than its ID token.")]
    OtherSubject,
}

/// What is wrong with an ID token (OpenID Connect Core section 3.1.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is no token at all, or lacks a claim that it must have.
    #[error("it can't be read")]
    Malformed,
    /// It is encrypted, or of a type or with an extension that is not supported.
    #[error("it's encrypted, or of a kind that isn't supported")]
    Unsupported,
    /// Its algorithm is `none`.
    #[error("it isn't signed")]
    Unsigned,
    /// It is signed with an algorithm that is not allowed, such as one with a shared secret.
    #[error("it's signed with an algorithm that isn't allowed")]
    Algorithm,
    /// No key of the provider, or more than one, fits what it says of its key.
    #[error("it isn't signed with a key that the provider publishes")]
    UnknownKey,
    /// The signature isn't the provider's.
    #[error("its signature is wrong")]
    Signature,
    /// Another provider has issued it.
    #[error("it names a different issuer")]
    Issuer,
    /// It was issued to another client.
    #[error("it's meant for a different client")]
    Audience,
    /// It is too old, or one of the clocks is wrong.
    #[error("it has expired; if this happens again, compare the clocks of both servers")]
    Expired,
    /// It was issued for another sign-in.
    #[error("it belongs to a different sign-in (nonce)")]
    Nonce,
    /// The access token beside it is not the one that it was issued with.
    #[error("it belongs to a different access token (at_hash)")]
    AccessToken,
}

impl TokenFault {
    /// True if the provider may have changed its keys since they were fetched.
    pub(in crate::upstream) fn may_be_of_old_keys(self) -> bool {
        // If a provider doesn't name its keys, a failed signature is the only sign of new ones.
        matches!(self, Self::UnknownKey | Self::Signature)
    }
}

impl SingleSignOnError {
    /// The provider's error, safe to show.
    pub(in crate::upstream) fn refused(
        error: &str,
        description: Option<&str>,
        settings: &SingleSignOnSettings,
        pending: &PendingSignIn,
        answer: &CallbackAnswer,
    ) -> Self {
        let client_secret = settings.client_secret.as_ref().map(ExposeSecret::expose_secret);
        let pairs = client_secret.map(|secret| [raw_pair(&settings.client_id, secret), form_pair(&settings.client_id, secret)]);
        let pending = [&pending.state, &pending.nonce, &pending.pkce_verifier];
        let own = pending.into_iter().chain(&answer.code).map(SecretString::expose_secret);
        let pairs = pairs.iter().flatten().map(|pair| pair.as_str());
        let redactor = Redactor::of_secrets(own.chain(client_secret).chain(pairs));
        let clean = |text: &str, most| Some(redactor.clean(text, most)).filter(|text| !text.is_empty());
        Self::Refused {
            error: clean(error, ERROR_MAX).unwrap_or_else(|| "no reason given".into()),
            description: description.and_then(|text| clean(text, SERVICE_WORDS_MAX)),
        }
    }
}

fn described(description: &Option<String>) -> String {
    description.as_ref().map_or_else(String::new, |text| format!(" ({})", text.trim_end_matches('.')))
}
