//! The only place that makes outgoing calls: token endpoints, connectors' APIs and identity providers, all behind
//! the egress guard, and the diagnosis of what fails.
//!
//! Requests use HTTPS, go to addresses that the egress guard has checked or an operator has named, have limits, and
//! never follow a redirect. Nothing from a request or a response is logged here.

mod api;
mod calls;
mod client;
mod diagnosis;
mod egress;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod http1;
mod limits;
mod oauth;
mod otlp;
mod sso;

pub use self::{
    api::{ApiAnswer, ApiClient, ApiRequest, ProbeOutcome, authorization},
    calls::{Upstream, UpstreamError, UpstreamSettings},
    diagnosis::retry_after::{is_worth_retrying, retry_after},
    egress::{pin::EgressPin, resolver::Nameserver, tls::read_ca_file},
    http1::{Answer, AnswerBody, ApiHeaders, ApiTarget, Early, Forward, ForwardBody, ForwardFault, Forwarder},
    limits::Limits,
    oauth::{
        fetch::{TokenAttempt, TokenClient},
        token_response::IssuedToken,
    },
    otlp::{CollectorClient, SpanCounts, SpanExporter, SpanSink},
    sso::{CallbackAnswer, ExternalIdentity, PendingSignIn, ProviderClient, SingleSignOnError, SingleSignOnSettings, TokenFault},
};
