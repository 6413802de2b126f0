//! The authorization request, the exchange of its code, and the checks of the ID token.

use std::{
    borrow::Cow,
    time::{Duration, UNIX_EPOCH},
};

use openidconnect::{
    AccessToken, AccessTokenHash, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointNotSet, EndpointSet, IdToken, IdTokenFields, IdTokenVerifier, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, TokenResponse, UserInfoError,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
        CoreTokenType,
    },
};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    client::{CallFault, Caller},
    fault::{SingleSignOnError, TokenFault},
    identity::{Claims, OtherClaims, Said},
    provider::Provider,
    sign_in::{CallbackAnswer, PendingSignIn, SingleSignOnSettings},
};
use crate::domain::time::Timestamp;

/// How far the clock of the provider may be behind: an ID token is accepted for this long after it expires.
const LEEWAY: Duration = Duration::from_secs(60);

/// The longest subject, in bytes.
const SUBJECT_MAX: usize = 255;

/// The algorithms allowed for ID tokens: all with a key pair. With a shared secret, anyone who knows the client's
/// secret could forge identities, and with `none`, anyone at all.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type SignedToken = IdToken<OtherClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type TokenFields =
    IdTokenFields<OtherClaims, EmptyExtraTokenFields, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Refusal = StandardErrorResponse<CoreErrorResponseType>;
/// The library's client, with every claim kept.
type SignInClient = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    Refusal,
    StandardTokenResponse<TokenFields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// The response of the token endpoint, not verified yet.
pub(in crate::upstream) struct Tokens {
    id_token: SignedToken,
    access_token: AccessToken,
}

/// What is known once the ID token is verified.
pub(in crate::upstream) struct Issued {
    pub(in crate::upstream) claims: Claims,
    access_token: AccessToken,
}

impl Tokens {
    /// Adds the verified claims of the ID token.
    pub(in crate::upstream) fn into_issued(self, claims: Claims) -> Issued {
        Issued { claims, access_token: self.access_token }
    }
}

impl Issued {
    pub(in crate::upstream) fn subject(&self) -> &str {
        self.claims.subject().as_str()
    }
}

/// Why a code could not be exchanged for tokens.
pub(in crate::upstream) enum ExchangeFault {
    /// The provider's own response, not yet safe to show.
    Refused(Box<Refusal>),
    Other(SingleSignOnError),
}

impl ExchangeFault {
    /// The error, with the provider's message made safe to show.
    pub(in crate::upstream) fn into_error(
        self,
        settings: &SingleSignOnSettings,
        pending: &PendingSignIn,
        answer: &CallbackAnswer,
    ) -> SingleSignOnError {
        match self {
            Self::Refused(said) => {
                let description = said.error_description().map(String::as_str);
                SingleSignOnError::refused(said.error().as_ref(), description, settings, pending, answer)
            }
            Self::Other(error) => error,
        }
    }
}

/// The URL that begins a sign-in (OpenID Connect Core section 3.1.2.1).
pub(in crate::upstream) fn authorization_url(
    provider: &Provider,
    settings: &SingleSignOnSettings,
    redirect: &Url,
    pending: &PendingSignIn,
) -> Url {
    let verifier = PkceCodeVerifier::new(pending.pkce_verifier.expose_secret().to_owned());
    // The library adds `openid` itself.
    let scopes = settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
    let state = CsrfToken::new(pending.state.expose_secret().to_owned());
    let nonce = Nonce::new(pending.nonce.expose_secret().to_owned());
    let (url, _, _) = client(provider, settings)
        .authorize_url(AuthenticationFlow::<CoreResponseType>::AuthorizationCode, move || state, move || nonce)
        .add_scopes(scopes)
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect.clone())))
        .url();
    url
}

/// Exchanges a code for tokens (OpenID Connect Core section 3.1.3).
pub(in crate::upstream) async fn exchange(
    provider: &Provider,
    settings: &SingleSignOnSettings,
    redirect: &Url,
    pending: &PendingSignIn,
    code: &SecretString,
    caller: &Caller<'_>,
) -> Result<Tokens, ExchangeFault> {
    let wrong = |reason: &str| ExchangeFault::Other(SingleSignOnError::Answer(reason.into()));
    let client = client(provider, settings);
    let request = client
        .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(pending.pkce_verifier.expose_secret().to_owned()))
        .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect.clone())));
    let answer = request.request_async(caller).await.map_err(|error| match error {
        RequestTokenError::ServerResponse(said) => ExchangeFault::Refused(Box::new(said)),
        RequestTokenError::Request(fault) => ExchangeFault::Other(fault.of_answer()),
        // The library parses the ID token together with the rest. Its error may quote a token.
        RequestTokenError::Parse(_, body) if holds_tokens(&body) => {
            ExchangeFault::Other(SingleSignOnError::InvalidToken(TokenFault::Malformed))
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            wrong("what its token endpoint answers is not JSON with tokens")
        }
    })?;
    let id_token = answer.id_token().ok_or_else(|| wrong("its token endpoint issued no ID token"))?.clone();
    let access_token = answer.access_token().clone();
    // The library expects that the token fits into a header.
    if HeaderValue::from_str(access_token.secret()).is_err() {
        return Err(wrong("its access token cannot be sent in a header"));
    }
    Ok(Tokens { id_token, access_token })
}

/// The claims of an ID token that passes every check of OpenID Connect Core section 3.1.3.7.
pub(in crate::upstream) fn verify(
    provider: &Provider,
    settings: &SingleSignOnSettings,
    pending: &PendingSignIn,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Claims, TokenFault> {
    let client_id = ClientId::new(settings.client_id.clone());
    let earliest = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)).saturating_sub(LEEWAY);
    let verifier: IdTokenVerifier<'_, CoreJsonWebKey> =
        // Without the client's secret, because it must not verify signatures here.
        IdTokenVerifier::new_public_client(client_id.clone(), provider.id.clone(), provider.keys.clone())
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || (UNIX_EPOCH + earliest).into())
            // Other audiences are allowed if the token was issued to this client, which is checked below.
            .set_other_audience_verifier_fn(|_| true);
    let nonce = Nonce::new(pending.nonce.expose_secret().to_owned());
    let claims = tokens.id_token.claims(&verifier, &nonce).map_err(|error| of_claims(&error))?;
    match claims.authorized_party() {
        Some(party) if *party != client_id => return Err(TokenFault::Audience),
        None if claims.audiences().len() > 1 => return Err(TokenFault::Audience),
        _ => {}
    }
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = tokens.id_token.signing_alg().map_err(|error| of_signature(&error))?;
        let key = tokens.id_token.signing_key(&verifier).map_err(|error| of_signature(&error))?;
        let hash = AccessTokenHash::from_token(&tokens.access_token, algorithm, key).map_err(|_| TokenFault::Unsupported)?;
        if hash != *expected {
            return Err(TokenFault::AccessToken);
        }
    }
    if !is_subject(claims.subject()) {
        return Err(TokenFault::Malformed);
    }
    Ok(claims.clone())
}

/// What the userinfo endpoint adds (OpenID Connect Core section 5.3); nothing if there is no such endpoint.
pub(in crate::upstream) async fn user_info(
    provider: &Provider,
    settings: &SingleSignOnSettings,
    issued: &Issued,
    caller: &Caller<'_>,
) -> Result<Said, SingleSignOnError> {
    let Some(address) = &provider.userinfo else { return Ok(Said::default()) };
    let wrong = |reason: String| SingleSignOnError::Answer(reason);
    let client = client(provider, settings).set_user_info_url(address.clone());
    let request = client.user_info(issued.access_token.clone(), Some(issued.claims.subject().clone()));
    let answer = request.request_async::<OtherClaims, _, CoreGenderClaim>(caller).await;
    let answer = answer.map_err(|error: UserInfoError<CallFault>| match error {
        UserInfoError::Request(fault) => fault.of_answer(),
        UserInfoError::ClaimsVerification(ClaimsVerificationError::InvalidSubject(_)) => SingleSignOnError::OtherSubject,
        UserInfoError::ClaimsVerification(_) => wrong("the signature of its userinfo is wrong".into()),
        UserInfoError::Response(status, ..) => {
            wrong(format!("its userinfo endpoint answers with status {}, or not with JSON", status.as_u16()))
        }
        _ => wrong("what its userinfo endpoint answers is not JSON about a person".into()),
    })?;
    // For a signed response, the library leaves the check of the subject to the caller.
    if answer.subject() != issued.claims.subject() {
        return Err(SingleSignOnError::OtherSubject);
    }
    Ok(Said::in_user_info(&answer, &settings.groups_claim))
}

fn client(provider: &Provider, settings: &SingleSignOnSettings) -> SignInClient {
    let client: SignInClient = Client::new(ClientId::new(settings.client_id.clone()), provider.id.clone(), provider.keys.clone())
        .set_auth_uri(provider.authorization.clone())
        .set_token_uri(provider.token.clone())
        .set_auth_type(provider.auth.clone());
    match &settings.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
        None => client,
    }
}

/// True if the subject can be stored as an id and logged (OpenID Connect Core section 2).
fn is_subject(subject: &str) -> bool {
    (1..=SUBJECT_MAX).contains(&subject.len()) && !subject.chars().any(char::is_control)
}

fn holds_tokens(body: &[u8]) -> bool {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    answer["access_token"].is_string() && answer["token_type"].is_string() && answer["id_token"].is_string()
}

fn of_claims(error: &ClaimsVerificationError) -> TokenFault {
    match error {
        ClaimsVerificationError::Expired(_) => TokenFault::Expired,
        ClaimsVerificationError::InvalidAudience(_) => TokenFault::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => TokenFault::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => TokenFault::Nonce,
        ClaimsVerificationError::SignatureVerification(error) => of_signature(error),
        ClaimsVerificationError::Unsupported(_) => TokenFault::Unsupported,
        _ => TokenFault::Malformed,
    }
}

fn of_signature(error: &SignatureVerificationError) -> TokenFault {
    match error {
        SignatureVerificationError::NoSignature => TokenFault::Unsigned,
        SignatureVerificationError::DisallowedAlg(_) | SignatureVerificationError::UnsupportedAlg(_) => TokenFault::Algorithm,
        SignatureVerificationError::NoMatchingKey | SignatureVerificationError::AmbiguousKeyId(_) => TokenFault::UnknownKey,
        _ => TokenFault::Signature,
    }
}
