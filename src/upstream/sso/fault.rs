//! Why nobody was signed in, in words for people and operators.
//!
//! The words come from Keytile, or from the provider with everything secret taken out and cut short. No
//! variant holds an answer as it came.

use super::sign_in::{CallbackAnswer, PendingSignIn, SingleSignOnSettings};
use crate::{
    domain::credentials::verification::SERVICE_WORDS_MAX,
    upstream::{
        diagnosis::redactor::Redactor,
        oauth::encodings::{form_pair, raw_pair},
    },
};
use secrecy::{ExposeSecret, SecretString};

/// The longest word that names an error, in characters.
const ERROR_MAX: usize = 100;

/// Why a sign-in did not succeed. Each is shown as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SingleSignOnError {
    /// The settings of this installation cannot work.
    #[error("Single sign-on is not set up rightly: {0}.")]
    Settings(String),
    /// The provider is away, does not answer in time or answers that it cannot.
    #[error("The identity provider cannot be reached: {0}.")]
    Unreachable(String),
    /// What the provider says of itself cannot be used.
    #[error("The configuration of the identity provider cannot be used: {0}.")]
    Discovery(String),
    /// The provider said no, in its own words.
    #[error("The identity provider refused the sign-in: {error}{}.", described(.description))]
    Refused {
        /// The error as a word of RFC 6749 or OpenID Connect, such as `access_denied` or `invalid_client`.
        error: String,
        /// What the provider says of it.
        description: Option<String>,
    },
    /// The state is missing or another one: another site, an old page or another browser.
    #[error("This answer does not belong to a sign-in that was begun in this browser. Begin it again.")]
    ForeignAnswer,
    /// The answer comes from another provider than the one that was asked (RFC 9207), or does not say
    /// from which although this provider always does.
    #[error("This answer is not from the identity provider that was asked.")]
    OtherIssuer,
    /// The answer to the browser, of the token endpoint or of the userinfo endpoint cannot be used.
    #[error("The answer of the identity provider cannot be used: {0}.")]
    Answer(String),
    /// The ID token does not prove who this is.
    #[error("The ID token of the identity provider is not valid: {0}.")]
    InvalidToken(TokenFault),
    /// The userinfo endpoint speaks of somebody else than the ID token.
    #[error("The userinfo of the identity provider is about another person than its ID token.")]
    OtherSubject,
}

/// What is wrong with an ID token (OpenID Connect Core section 3.1.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is no token at all, or lacks a claim that it must have.
    #[error("it cannot be read")]
    Malformed,
    /// It is encrypted, or of a type or with an extension that is not supported.
    #[error("it is encrypted, or of a kind that is not supported")]
    Unsupported,
    /// Its algorithm is `none`.
    #[error("it is not signed")]
    Unsigned,
    /// It is signed with an algorithm that is not allowed, such as one with a shared secret.
    #[error("it is signed with an algorithm that is not allowed")]
    Algorithm,
    /// No key of the provider, or more than one, fits what it says of its key.
    #[error("it is not signed with a key that the provider publishes")]
    UnknownKey,
    /// The signature is not that of the provider.
    #[error("its signature is wrong")]
    Signature,
    /// Another provider has issued it.
    #[error("it names another issuer")]
    Issuer,
    /// It was issued to another client.
    #[error("it is meant for another client")]
    Audience,
    /// It is too old, or one of the clocks is wrong.
    #[error("it has expired; if this comes again, compare the clocks of both servers")]
    Expired,
    /// It was issued for another sign-in.
    #[error("it belongs to another sign-in (nonce)")]
    Nonce,
    /// The access token beside it is not the one that it was issued with.
    #[error("it belongs to another access token (at_hash)")]
    AccessToken,
}

impl TokenFault {
    /// True where the provider may have changed its keys since they were fetched.
    pub(in crate::upstream) fn may_be_of_old_keys(self) -> bool {
        // A provider that does not name its keys can only be seen by a signature that fails.
        matches!(self, Self::UnknownKey | Self::Signature)
    }
}

impl SingleSignOnError {
    /// What a provider said, made fit to be shown.
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
