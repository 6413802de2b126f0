//! The only place that calls out: the egress guard, the token endpoint, a connector's API, an identity
//! provider, and what failures mean.
//!
//! Fetching a token is one code path, [`Upstream::fetch_token`], for verification and broker alike,
//! so that nothing verifies that would not work later. Requests go over HTTPS, to addresses that the
//! guard has checked or an operator has named, within limits, and never follow a redirect. Nothing
//! here is logged that a request or an answer holds.

mod api;
pub mod calls;
mod client;
mod diagnosis;
mod egress;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod http1;
mod oauth;
mod otlp;
mod sso;

pub use self::calls::{Limits, TokenAttempt, Upstream, UpstreamError, UpstreamSettings};
pub use self::{
    api::{ApiAnswer, ApiRequest, ProbeOutcome, authorization},
    diagnosis::retry_after::{is_worth_retrying, retry_after},
    egress::{pin::EgressPin, resolver::Nameserver, tls::read_ca_file},
    http1::{Answer, AnswerBody, ApiHeaders, ApiTarget, Early, Forward, ForwardBody, ForwardFault},
    oauth::token_response::IssuedToken,
    otlp::{SpanCounts, SpanExporter, SpanSink},
    sso::{CallbackAnswer, ExternalIdentity, PendingSignIn, SingleSignOnError, SingleSignOnSettings, TokenFault},
};
