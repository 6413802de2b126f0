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
    /// The settings of this installation can't work.
    #[error("Single sign-on is not set up rightly: {0}.")]
    Settings(String),
    /// The provider is down, doesn't respond in time, or reports a server error.
    #[error("The identity provider cannot be reached: {0}.")]
    Unreachable(String),
    /// The provider's configuration can't be used.
    #[error("The configuration of the identity provider cannot be used: {0}.")]
    Discovery(String),
    /// The provider refused the sign-in, with its own message.
    #[error("The identity provider refused the sign-in: {error}{}.", described(.description))]
    Refused {
        /// The error code of RFC 6749 or OpenID Connect, such as `access_denied` or `invalid_client`.
        error: String,
        /// The provider's description of the error.
        description: Option<String>,
    },
    /// The state is missing or wrong: the response comes from another site, an old page or another browser.
    #[error("This answer does not belong to a sign-in that was begun in this browser. Begin it again.")]
    ForeignAnswer,
    /// The response comes from another provider than the one that was asked (RFC 9207), or doesn't name its issuer
    /// although this provider always does.
    #[error("This answer is not from the identity provider that was asked.")]
    OtherIssuer,
    /// The response to the browser, of the token endpoint or of the userinfo endpoint can't be used.
    #[error("The answer of the identity provider cannot be used: {0}.")]
    Answer(String),
    /// The ID token doesn't prove who this is.
    #[error("The ID token of the identity provider is not valid: {0}.")]
    InvalidToken(TokenFault),
    /// The userinfo endpoint describes another person than the ID token.
    #[error("The userinfo of the identity provider is about another person than its ID token.")]
    OtherSubject,
}

/// What is wrong with an ID token (OpenID Connect Core section 3.1.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It isn't a token, or lacks a required claim.
    #[error("it cannot be read")]
    Malformed,
    /// It is encrypted, or has a type or an extension that isn't supported.
    #[error("it is encrypted, or of a kind that is not supported")]
    Unsupported,
    /// Its algorithm is `none`.
    #[error("it is not signed")]
    Unsigned,
    /// It is signed with an algorithm that isn't allowed, such as one with a shared secret.
    #[error("it is signed with an algorithm that is not allowed")]
    Algorithm,
    /// No key of the provider, or more than one, matches its key id.
    #[error("it is not signed with a key that the provider publishes")]
    UnknownKey,
    /// The signature isn't the provider's.
    #[error("its signature is wrong")]
    Signature,
    /// It was issued by another provider.
    #[error("it names another issuer")]
    Issuer,
    /// It was issued to another client.
    #[error("it is meant for another client")]
    Audience,
    /// It has expired, or one of the clocks is wrong.
    #[error("it has expired; if this comes again, compare the clocks of both servers")]
    Expired,
    /// It was issued for another sign-in.
    #[error("it belongs to another sign-in (nonce)")]
    Nonce,
    /// It was issued with another access token.
    #[error("it belongs to another access token (at_hash)")]
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
            error: clean(error, ERROR_MAX).unwrap_or_else(|| "it does not say why".into()),
            description: description.and_then(|text| clean(text, SERVICE_WORDS_MAX)),
        }
    }
}

fn described(description: &Option<String>) -> String {
    description.as_ref().map_or_else(String::new, |text| format!(" ({})", text.trim_end_matches('.')))
}
