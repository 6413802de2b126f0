//! Single sign-on with OpenID Connect: the outgoing calls.
//!
//! Uses the authorization code flow (OpenID Connect Core section 3.1) with PKCE (RFC 7636, always S256), state and
//! nonce. [`ProviderClient::begin_sign_in`] sends a browser to the provider, and [`ProviderClient::finish_sign_in`] turns the
//! response that it brings back into an [`ExternalIdentity`]. Who that is in Keytile, and what they may do, is
//! decided elsewhere. Nothing from the provider is trusted unless it is signed or fetched over TLS, and no secret
//! gets into an error.

pub(in crate::upstream) mod client;
pub(in crate::upstream) mod fault;
pub(in crate::upstream) mod identity;
pub(in crate::upstream) mod provider;
pub(in crate::upstream) mod providers;
mod sign_in;
pub(in crate::upstream) mod token;

pub use self::{
    fault::{SingleSignOnError, TokenFault},
    identity::ExternalIdentity,
    providers::ProviderClient,
    sign_in::{CallbackAnswer, PendingSignIn, SingleSignOnSettings},
};
