//! Single sign-on by OpenID Connect: the half that calls out.
//!
//! The authorization code flow (OpenID Connect Core section 3.1) with PKCE (RFC 7636, always S256), state
//! and nonce. A browser is sent to the provider by [`ProviderClient::begin_sign_in`] and comes back with an
//! answer that [`ProviderClient::finish_sign_in`] turns into an [`ExternalIdentity`]. Who that is in Keytile,
//! and what they may do, is decided elsewhere. Of what the provider sends, nothing is believed that is
//! not signed or fetched from it over TLS, and nothing secret gets into an error.

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
