//! The two steps of a sign-in, [`ProviderClient::begin_sign_in`] and [`ProviderClient::finish_sign_in`], with their settings
//! and what a browser carries between them.

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
    /// If the provider can't be reached or its configuration can't be used.
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

    /// Who has signed in, from what the browser brought back. `redirect` must be the one of the authorization
    /// request.
    ///
    /// # Errors
    /// If the provider refused or can't be reached, or if anything in its response is wrong. In all cases nobody is
    /// signed in.
    pub async fn finish_sign_in(
        &self,
        settings: &SingleSignOnSettings,
        redirect: &Url,
        pending: &PendingSignIn,
        answer: &CallbackAnswer,
    ) -> Result<ExternalIdentity, SingleSignOnError> {
        // The state is checked first, so that a response that another site made the browser send is ignored.
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

    /// The claims of the ID token. If its key is unknown, the provider may have new ones, so they are fetched
    /// again, once.
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

    /// The caller for one step of a sign-in, which must end within the time limit of one request.
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
