//! A verification: one staged check of a credential against its service, and its outcome.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CredentialStatus;
use crate::domain::{ids::FieldId, time::Timestamp};

/// The most characters of the service's own words that are kept.
pub const SERVICE_WORDS_MAX: usize = 500;

/// The stages of a verification, in the order in which they pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The values make a request that may be sent.
    Input,
    /// The host name has an address that may be connected to.
    Address,
    /// The address accepts a connection.
    Connection,
    /// The server proves that it is the host, over TLS 1.2 or newer.
    Tls,
    /// The server answers the request.
    Http,
    /// The answer accepts the client.
    Oauth,
    /// The answer holds an access token that can be used.
    Token,
    /// The API takes the access token. Explains, never blocks.
    Probe,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 8] =
        [Self::Input, Self::Address, Self::Connection, Self::Tls, Self::Http, Self::Oauth, Self::Token, Self::Probe];

    /// The word that is shown to people.
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

    /// The word that programs read.
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

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// It did what it should.
    Passed,
    /// It is where the verification ended, or (for the probe) what did not work.
    Failed,
    /// It was not reached, or there is nothing to do in it.
    Skipped,
}

/// One stage of one verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// Which stage.
    pub stage: Stage,
    /// How it ended.
    pub outcome: StageOutcome,
    /// How long it took, in microseconds; zero for a skipped stage.
    pub micros: u64,
}

/// Told of stages as they end, while a verification is under way.
pub trait StageObserver: Send + Sync {
    /// A stage has ended.
    fn stage_ended(&self, report: &StageReport);
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl StageObserver for Unobserved {
    fn stage_ended(&self, _report: &StageReport) {}
}

/// What went wrong, as a word that programs can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The values do not make a request that may be sent.
    InvalidInput,
    /// The host name does not exist.
    NoSuchHost,
    /// The resolver failed or did not answer.
    ResolverFailed,
    /// The host has only addresses that Keytile may not connect to.
    AddressRefused,
    /// Nothing listens there.
    ConnectionRefused,
    /// The connection broke or could not be made.
    ConnectionFailed,
    /// No answer in time; the stage says how far it came.
    TimedOut,
    /// The server's certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The certificate is for another name.
    CertificateWrongName,
    /// The certificate is from an authority that is not trusted.
    CertificateUnknownAuthority,
    /// TLS failed in another way.
    TlsFailed,
    /// A redirect, which is not followed with credentials.
    Redirected,
    /// 404 or 410 on the token URL.
    NotFound,
    /// The client id or secret was rejected (`invalid_client`, 401).
    InvalidClient,
    /// The scopes were rejected (`invalid_scope`).
    InvalidScope,
    /// This client may not use this grant (`unauthorized_client`, `unsupported_grant_type`, 403).
    UnauthorizedClient,
    /// The service finds the request itself wrong (`invalid_request` and other 4xx).
    RequestRejected,
    /// 429: too many requests.
    RateLimited,
    /// 5xx.
    ServiceError,
    /// What answered is not a token endpoint.
    NotTokenEndpoint,
    /// The answer was larger than the limit.
    AnswerTooLarge,
    /// The connection ended in the middle of the answer.
    AnswerCut,
    /// The API does not take the token under this authorization prefix, but under another.
    WrongAuthorizationPrefix,
    /// The API does not take the token.
    ApiRejected,
}

/// Where the cause of a failure lies, which decides what a person should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// What was typed, or what the service knows of it.
    Input,
    /// The service, or the way to it: trying again later may work.
    Service,
    /// The machine that Keytile runs on.
    ThisServer,
}

/// What the service itself said: control characters removed, secrets redacted, cut at
/// [`SERVICE_WORDS_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceWords {
    /// The status code of its answer.
    pub status: Option<u16>,
    /// `error` of the answer (RFC 6749 section 5.2).
    pub error: Option<String>,
    /// `error_description` of the answer, or the nearest thing to it.
    pub description: Option<String>,
    /// The media type of the answer.
    pub content_type: Option<String>,
}

/// Why a verification failed and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Where it failed. Where the stage cannot be told, the wider one.
    pub stage: Stage,
    /// What went wrong, for programs.
    pub code: FaultCode,
    /// Where the cause lies.
    pub blame: Blame,
    /// One sentence on what happened.
    pub summary: String,
    /// What to do next.
    pub remedy: String,
    /// The fields most likely at fault; empty where none is.
    pub fields: Vec<FieldId>,
    /// The service's own words, if it said anything.
    pub service: Option<ServiceWords>,
    /// For how many seconds the service asks to be left alone.
    pub retry_after: Option<u64>,
}

impl Diagnosis {
    /// What a failure with this diagnosis makes of a stored credential.
    pub const fn status(&self) -> CredentialStatus {
        match self.blame {
            Blame::Input => CredentialStatus::Rejected,
            Blame::Service | Blame::ThisServer => CredentialStatus::Unreachable,
        }
    }
}

/// One verification, as it is shown and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Every stage, in order.
    pub stages: Vec<StageReport>,
    /// Why it failed; `None` when it passed.
    pub failure: Option<Diagnosis>,
    /// What the probe found, when the token was issued but the API does not take it.
    pub notice: Option<Diagnosis>,
}

impl Verification {
    /// True when the service issued a usable access token.
    pub const fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// The status that this verification gives the credential.
    pub fn status(&self) -> CredentialStatus {
        self.failure.as_ref().map_or(CredentialStatus::Verified, Diagnosis::status)
    }

    /// The stage that decided: where it failed, or that of the token. The probe after it decides nothing.
    pub fn decided_at(&self) -> Stage {
        self.failure.as_ref().map_or(Stage::Token, |failure| failure.stage)
    }

    /// The last stage that passed or failed.
    pub fn reached(&self) -> Stage {
        let ended = self.stages.iter().filter(|report| report.outcome != StageOutcome::Skipped);
        ended.map(|report| report.stage).max().unwrap_or(Stage::Input)
    }

    /// How long all stages took.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.stages.iter().map(|report| report.micros).sum())
    }
}

/// A verification and when it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastVerification {
    /// When it ended.
    pub at: Timestamp,
    /// What it found.
    pub verification: Verification,
}
