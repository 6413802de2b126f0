//! A verification: a check of a credential against its service in stages, and its result.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CredentialStatus;
use crate::domain::{ids::FieldId, time::Timestamp};

/// The most characters that are kept of a text from the service.
pub const SERVICE_WORDS_MAX: usize = 500;

/// The stages of a verification, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The values make a request that may be sent.
    Input,
    /// The host name resolves to an address that Keytile may connect to.
    Address,
    /// The address accepts a connection.
    Connection,
    /// The server proves its identity, over TLS 1.2 or newer.
    Tls,
    /// The server responds to the request.
    Http,
    /// The response accepts the client.
    Oauth,
    /// The response contains a usable access token.
    Token,
    /// The API accepts the access token. Only informs: a failure doesn't fail the verification.
    Probe,
}

impl Stage {
    pub const ALL: [Self; 8] =
        [Self::Input, Self::Address, Self::Connection, Self::Tls, Self::Http, Self::Oauth, Self::Token, Self::Probe];

    /// The name shown to people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Address => "Address",
            Self::Connection => "Connection",
            Self::Tls => "TLS",
            Self::Http => "Answer",
            Self::Oauth => "OAuth",
            Self::Token => "Token",
            Self::Probe => "API",
        }
    }

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Address => "address",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Oauth => "oauth",
            Self::Token => "token",
            Self::Probe => "probe",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    Passed,
    /// The verification ended here, or (for the probe) the API rejected the token.
    Failed,
    /// Not reached, or not needed.
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    pub stage: Stage,
    pub outcome: StageOutcome,
    /// The duration in microseconds; zero if the stage was skipped.
    pub micros: u64,
}

/// Gets the stages as they end, while a verification is running.
pub trait StageObserver: Send + Sync {
    fn stage_ended(&self, report: &StageReport);
}

/// An observer that ignores every stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl StageObserver for Unobserved {
    fn stage_ended(&self, _report: &StageReport) {}
}

/// What went wrong, as a code that API clients can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The values don't make a request that may be sent.
    InvalidInput,
    /// The host name doesn't exist.
    NoSuchHost,
    /// The resolver failed or didn't respond.
    ResolverFailed,
    /// The host has only addresses that Keytile may not connect to.
    AddressRefused,
    /// Nothing listens there.
    ConnectionRefused,
    /// The connection broke or could not be made.
    ConnectionFailed,
    /// No response in time. The stage says how far the request got.
    TimedOut,
    /// The server's certificate has expired or isn't valid yet.
    CertificateExpired,
    /// The certificate is for another name.
    CertificateWrongName,
    /// The certificate is from an authority that isn't trusted.
    CertificateUnknownAuthority,
    /// Any other TLS failure.
    TlsFailed,
    /// Redirects aren't followed with credentials.
    Redirected,
    /// 404 or 410 on the token URL.
    NotFound,
    /// The client id or secret was rejected (`invalid_client`, 401).
    InvalidClient,
    /// The scopes were rejected (`invalid_scope`).
    InvalidScope,
    /// This client may not use this grant (`unauthorized_client`, `unsupported_grant_type`, 403).
    UnauthorizedClient,
    /// The service rejects the request itself (`invalid_request` and other 4xx).
    RequestRejected,
    /// 429: too many requests.
    RateLimited,
    /// 5xx.
    ServiceError,
    /// The server isn't a token endpoint.
    NotTokenEndpoint,
    /// The response was larger than the limit.
    AnswerTooLarge,
    /// The connection closed in the middle of the response.
    AnswerCut,
    /// The API rejects the token with this authorization prefix, but accepts it with another.
    WrongAuthorizationPrefix,
    /// The API rejects the token.
    ApiRejected,
}

/// The cause of a failure, which decides what a person should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The values that were typed, or how the service is configured for them.
    Input,
    /// The service or the way to it: trying again later may work.
    Service,
    /// The machine that Keytile runs on.
    ThisServer,
}

/// The service's own words: control characters removed, secrets redacted, cut at [`SERVICE_WORDS_MAX`]
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceWords {
    /// The status code of the response.
    pub status: Option<u16>,
    /// `error` in the response (RFC 6749 section 5.2).
    pub error: Option<String>,
    /// `error_description` in the response, or the nearest thing to it.
    pub description: Option<String>,
    /// The media type of the response.
    pub content_type: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// If the exact stage is unknown, a wider one.
    pub stage: Stage,
    pub code: FaultCode,
    pub blame: Blame,
    /// One sentence that says what happened.
    pub summary: String,
    /// What to do next.
    pub remedy: String,
    /// The fields most likely at fault, if any.
    pub fields: Vec<FieldId>,
    pub service: Option<ServiceWords>,
    /// The pause that the service asks for, in seconds.
    pub retry_after: Option<u64>,
}

impl Diagnosis {
    /// The status that a failure with this diagnosis gives a stored credential.
    pub const fn status(&self) -> CredentialStatus {
        match self.blame {
            Blame::Input => CredentialStatus::Rejected,
            Blame::Service | Blame::ThisServer => CredentialStatus::Unreachable,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Every stage, in order.
    pub stages: Vec<StageReport>,
    /// `None` if it passed.
    pub failure: Option<Diagnosis>,
    /// What the probe found, if the token was issued but the API rejects it.
    pub notice: Option<Diagnosis>,
}

impl Verification {
    /// True if the service issued a usable access token.
    pub const fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// The status that this verification gives the credential.
    pub fn status(&self) -> CredentialStatus {
        self.failure.as_ref().map_or(CredentialStatus::Verified, Diagnosis::status)
    }

    /// The stage that decided the result: the failed stage, or the token stage. The probe decides nothing.
    pub fn decided_at(&self) -> Stage {
        self.failure.as_ref().map_or(Stage::Token, |failure| failure.stage)
    }

    /// The last stage that wasn't skipped.
    pub fn reached(&self) -> Stage {
        let ended = self.stages.iter().filter(|report| report.outcome != StageOutcome::Skipped);
        ended.map(|report| report.stage).max().unwrap_or(Stage::Input)
    }

    /// The total of all stages.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.stages.iter().map(|report| report.micros).sum())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastVerification {
    /// When it ended.
    pub at: Timestamp,
    pub verification: Verification,
}
