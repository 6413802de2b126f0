//! Single sign-on by OpenID Connect: the half that calls out.
//!
//! The authorization code flow (OpenID Connect Core section 3.1) with PKCE (RFC 7636, always S256), state
//! and nonce. A browser is sent to the provider by [`ProviderClient::begin_sign_in`] and comes back with an
//! answer that [`ProviderClient::finish_sign_in`] turns into an [`ExternalIdentity`]. Who that is in Keytile,
//! and what they may do, is decided elsewhere. Of what the provider sends, nothing is believed that is
//! not signed or fetched from it over TLS, and nothing secret gets into an error.

use std::sync::Arc;

use tokio::time::Instant as Deadline;
use url::Url;

use super::{
    client::Caller,
    fault::SingleSignOnError,
    identity::{ExternalIdentity, Said},
    provider::{Provider, Providers},
    sign_in::{CallbackAnswer, PendingSignIn, SingleSignOnSettings, own_host, same},
    token::{self, Issued, Tokens},
};
use crate::{
    domain::time::Clock,
    upstream::{client::exchange::Exchanger, limits::Limits},
};

/// Calls the identity provider of single sign-on.
pub struct ProviderClient {
    /// For what tokens and metadata name: only where the egress guard lets it go.
    guarded: Arc<Exchanger>,
    /// The provider itself, which an operator has named.
    providers: Providers,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl ProviderClient {
    pub(in crate::upstream) fn new(guarded: Arc<Exchanger>, providers: Providers, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self { guarded, providers, limits, clock }
    }

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
        Ok((token::authorization_url(&provider, settings, redirect, &pending), pending))
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
        let code = answer.code.as_ref().ok_or(SingleSignOnError::Answer("it holds neither a code nor an error".into()))?;
        let tokens = token::exchange(&provider, settings, redirect, pending, code, &caller).await;
        let tokens = tokens.map_err(|fault| fault.into_error(settings, pending, answer))?;
        let (provider, issued) = self.verified(provider, settings, pending, tokens, &caller).await?;
        let said = Said::in_id_token(&issued.claims, &settings.groups_claim);
        let said = if said.is_complete(&settings.groups_claim) {
            said
        } else {
            said.or(token::user_info(&provider, settings, &issued, &caller).await?)
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
        let mut verdict = token::verify(&provider, settings, pending, &tokens, now);
        if verdict.as_ref().is_err_and(|fault| fault.may_be_of_old_keys()) {
            provider = self.providers.newer_than(&provider, settings, caller, now).await?;
            verdict = token::verify(&provider, settings, pending, &tokens, now);
        }
        let claims = verdict.map_err(SingleSignOnError::InvalidToken)?;
        Ok((provider, tokens.into_issued(claims)))
    }

    /// Calls for one step of a sign-in, which ends within the time of one request.
    fn caller(&self, settings: &SingleSignOnSettings) -> Result<Caller<'_>, SingleSignOnError> {
        let own_host = own_host(&settings.issuer).map_err(SingleSignOnError::Settings)?;
        Ok(Caller {
            guarded: &self.guarded,
            trusted: &self.providers.exchanger,
            own_host,
            deadline: Deadline::now() + self.limits.request,
        })
    }
}
