//! What broke on the way to an answer, read from the stage that was under way and from the source
//! chain of the client's error. Where neither tells, the fault says only that it failed.

use std::{error::Error, io};

use rustls::CertificateError;

use super::names::NameFault;
use crate::domain::verification::Stage;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Fault {
    /// What was under way.
    pub(super) stage: Stage,
    pub(super) kind: FaultKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    Name(NameFault),
    /// Nothing listens on the port.
    Refused,
    /// The connection could not be made or broke; the system's reason where it gave one.
    Failed(Option<io::ErrorKind>),
    TimedOut,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateWrongName,
    CertificateUnknownAuthority,
    /// TLS failed in another way, in the words of the TLS library.
    Tls(String),
    /// What answers on the port speaks no TLS.
    NotTls,
    /// What answers over TLS speaks no HTTP.
    NotHttp,
    /// The answer ended before its end.
    Cut,
    /// The answer is over the limit.
    TooLarge,
    /// The request could not even be begun.
    Internal,
}

/// The time for connecting ran out.
#[derive(Debug, thiserror::Error)]
#[error("the connection was not made in time")]
pub(super) struct ConnectTimedOut;

impl Fault {
    /// The time ran out. While a name is being looked up, that is the resolver's silence.
    pub(super) fn timed_out(stage: Stage) -> Self {
        let kind = match stage {
            Stage::Address => FaultKind::Name(NameFault::ResolverFailed("it did not answer".into())),
            _ => FaultKind::TimedOut,
        };
        Self { stage, kind }
    }

    /// The client could not be made.
    pub(super) fn of_client(stage: Stage, error: &reqwest::Error) -> Self {
        tracing::error!(error = %error, "the client for calling out cannot be made");
        Self { stage, kind: FaultKind::Internal }
    }

    /// There was no answer, or not even its head.
    pub(super) fn of_head(stage: Stage, error: &reqwest::Error) -> Self {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if error.is::<ConnectTimedOut>() {
                return Self::timed_out(stage);
            }
            if let Some(kind) = of_link(stage, error) {
                return Self { stage, kind };
            }
            next = error.source();
        }
        Self { stage, kind: FaultKind::Failed(None) }
    }
}

/// What one link of a source chain says, if it says anything.
fn of_link(stage: Stage, error: &(dyn Error + 'static)) -> Option<FaultKind> {
    if let Some(fault) = error.downcast_ref::<NameFault>() {
        return Some(FaultKind::Name(fault.clone()));
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_parse().then_some(FaultKind::NotHttp);
    }
    let error = error.downcast_ref::<io::Error>()?;
    // An error inside an io::Error is not part of its source chain.
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return Some(of_tls(error));
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return of_link(stage, error);
        }
    }
    Some(match (stage, error.kind()) {
        (Stage::Connection, io::ErrorKind::ConnectionRefused) => FaultKind::Refused,
        (_, io::ErrorKind::TimedOut) => FaultKind::TimedOut,
        (Stage::Tls, io::ErrorKind::UnexpectedEof) => FaultKind::Tls("the connection was closed during the handshake".into()),
        (_, kind) => FaultKind::Failed(Some(kind)),
    })
}

fn of_tls(error: &rustls::Error) -> FaultKind {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => FaultKind::CertificateExpired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => FaultKind::CertificateNotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => FaultKind::CertificateWrongName,
            // A bad signature is an authority that has a trusted name without having its key, such as
            // one that was made anew.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => FaultKind::CertificateUnknownAuthority,
            // The words of the library may quote names; the kind alone is enough.
            _ => FaultKind::Tls("its certificate cannot be verified".into()),
        },
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => FaultKind::NotTls,
        other => FaultKind::Tls(other.to_string()),
    }
}
