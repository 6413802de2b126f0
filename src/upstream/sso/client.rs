//! The HTTP client of a sign-in: sends the requests of the OpenID Connect library with Keytile's own exchanger.
//!
//! The operator names the issuer's host, so it may have any address. All other hosts are named by the provider and
//! go through the egress guard. Redirects are not followed.

use std::{pin::Pin, time::Instant};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{
    StatusCode, Url,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
};
use tokio::time::Instant as Deadline;

use super::SingleSignOnError;
use crate::{
    domain::credentials::verification::{Stage, Unobserved},
    upstream::{
        client::{
            exchange::{BodyLimit, Exchanger, Outgoing},
            fault::{Fault, FaultKind},
            progress::Progress,
        },
        egress::resolver::NameFault,
        oauth::token_request::AGENT,
    },
};

/// The largest document of a provider, in bytes: key sets with certificates and lists of groups are larger than the
/// responses of other token endpoints.
const DOCUMENT_MAX: usize = 256 * 1024;

/// Makes the calls of one step of a sign-in.
pub(in crate::upstream) struct Caller<'u> {
    /// For hosts that the provider names.
    pub(in crate::upstream) guarded: &'u Exchanger,
    /// For the host that the operator names.
    pub(in crate::upstream) trusted: &'u Exchanger,
    pub(in crate::upstream) own_host: String,
    /// When all requests of the step must have ended.
    pub(in crate::upstream) deadline: Deadline,
}

/// Why there is no usable response. The text names the host, and nothing that was sent.
#[derive(Debug, thiserror::Error)]
pub(in crate::upstream) enum CallFault {
    /// The provider is down, or reports an internal error.
    #[error("{0}")]
    Unreachable(String),
    /// The response can't be used.
    #[error("{0}")]
    Unfit(String),
}

impl CallFault {
    /// The error, if the request was for something other than the provider's configuration.
    pub(in crate::upstream) fn of_answer(self) -> SingleSignOnError {
        match self {
            Self::Unreachable(words) => SingleSignOnError::Unreachable(words),
            Self::Unfit(words) => SingleSignOnError::Answer(words),
        }
    }

    /// The error, if the request was for the provider's configuration.
    pub(in crate::upstream) fn of_discovery(self) -> SingleSignOnError {
        match self {
            Self::Unreachable(words) => SingleSignOnError::Unreachable(words),
            Self::Unfit(words) => SingleSignOnError::Discovery(words),
        }
    }
}

impl Caller<'_> {
    /// Sends one request, and reads its response unless it is a redirect or a server error.
    pub(in crate::upstream) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, CallFault> {
        let (parts, body) = request.into_parts();
        let url: Url =
            parts.uri.to_string().parse().map_err(|_| CallFault::Unfit("an address that it names is no address".into()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut headers = parts.headers;
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(authorization) = headers.get_mut(AUTHORIZATION) {
            authorization.set_sensitive(true);
        }
        let outgoing = Outgoing { method: parts.method, url, headers, body };
        let exchanger = if host == self.own_host { self.trusted } else { self.guarded };
        let mut progress = Progress::new(&Unobserved);
        progress.pass(Stage::Input, Instant::now());
        let answer = exchanger.exchange(outgoing, BodyLimit::Refuse(DOCUMENT_MAX), self.deadline, &mut progress).await;
        let mut answer = answer.map_err(|fault| of_fault(&host, &fault))?;
        match answer.status {
            300..=399 => {
                let status = answer.status;
                Err(CallFault::Unfit(format!("{host} answers with a redirect (status {status}), which is not followed")))
            }
            429 | 500.. => Err(CallFault::Unreachable(format!("{host} answers with status {}", answer.status))),
            status => {
                let mut response = HttpResponse::new(std::mem::take(&mut *answer.body));
                *response.status_mut() = StatusCode::from_u16(status)
                    .map_err(|_| CallFault::Unfit(format!("{host} answers with a status that does not exist")))?;
                *response.headers_mut() = answer.headers;
                Ok(response)
            }
        }
    }
}

/// A trait implementation rather than a closure: with a closure, the compiler can't see that the future is `Send`,
/// so that no handler could await it.
impl<'c> AsyncHttpClient<'c> for Caller<'_> {
    type Error = CallFault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallFault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn of_fault(host: &str, fault: &Fault) -> CallFault {
    let words = match &fault.kind {
        FaultKind::TooLarge | FaultKind::HeadTooLarge => {
            return CallFault::Unfit(format!("the answer of {host} is far too large"));
        }
        FaultKind::Name(NameFault::NoSuchHost) => format!("the host {host} does not exist"),
        FaultKind::Name(NameFault::ResolverFailed(reason)) => {
            format!("the DNS resolver of this server failed for {host} ({reason})")
        }
        FaultKind::Name(NameFault::AddressRefused(kind)) => format!(
            "{host} leads to {kind}, which Keytile does not connect to; it is not the host of the issuer, so allow it with \
             --allow-private-egress or --egress-pin"
        ),
        FaultKind::Refused => format!("{host} refuses connections"),
        FaultKind::Failed(Some(reason)) => format!("the connection to {host} failed ({reason})"),
        FaultKind::Failed(None) => format!("the connection to {host} failed"),
        FaultKind::TimedOut => format!("{host} does not answer in time"),
        FaultKind::CertificateExpired => format!("the certificate of {host} has expired"),
        FaultKind::CertificateNotYetValid => format!("the certificate of {host} is not valid yet"),
        FaultKind::CertificateWrongName => format!("the certificate of {host} is for another name"),
        FaultKind::CertificateUnknownAuthority => {
            format!("the certificate of {host} comes from an authority that is not trusted; add your own with --extra-ca")
        }
        FaultKind::CertificateOfAuthority => format!("the certificate of {host} is one that only an authority can use"),
        FaultKind::Tls(reason) => format!("no TLS connection to {host} could be made ({reason})"),
        FaultKind::NotTls => format!("what answers for {host} does not speak TLS"),
        FaultKind::NotHttp => format!("what answers for {host} does not speak HTTP"),
        FaultKind::Cut => format!("{host} broke off in the middle of its answer"),
        FaultKind::Internal => "this server could not begin the request; its log says why".into(),
    };
    CallFault::Unreachable(words)
}
