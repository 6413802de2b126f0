//! Why there is no response, derived from the current stage and the source chain of the client's error. If neither
//! tells, the fault only says that the exchange failed.

use std::{error::Error, io};

use rustls::CertificateError;

use crate::{domain::credentials::verification::Stage, upstream::egress::resolver::NameFault};

/// Why there is no response.
#[derive(Debug)]
pub(in crate::upstream) struct Fault {
    /// The stage that failed.
    pub(in crate::upstream) stage: Stage,
    pub(in crate::upstream) kind: FaultKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::upstream) enum FaultKind {
    Name(NameFault),
    /// Nothing listens on the port.
    Refused,
    /// The connection could not be opened, or it broke; with the system's reason if it gave one.
    Failed(Option<io::ErrorKind>),
    TimedOut,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateWrongName,
    CertificateUnknownAuthority,
    /// The server presents the certificate of an authority as its own, as hastily made certificates do. It proves
    /// nothing, whether or not it is trusted as an authority.
    CertificateOfAuthority,
    /// TLS failed in another way, as the TLS library puts it.
    Tls(String),
    /// The server on the port doesn't speak TLS.
    NotTls,
    /// The server doesn't speak HTTP over TLS.
    NotHttp,
    /// The response head has more or longer headers than the client accepts.
    HeadTooLarge,
    /// The response ended too early.
    Cut,
    /// The response is larger than the limit.
    TooLarge,
    /// The request could not be started.
    Internal,
}

/// The time for connecting ran out.
#[derive(Debug, thiserror::Error)]
#[error("the connection was not made in time")]
pub(in crate::upstream) struct ConnectTimedOut;

impl Fault {
    /// The time ran out. During a name lookup, that means that the resolver didn't respond.
    pub(in crate::upstream) fn timed_out(stage: Stage) -> Self {
        let kind = match stage {
            Stage::Address => FaultKind::Name(NameFault::ResolverFailed("it did not answer".into())),
            _ => FaultKind::TimedOut,
        };
        Self { stage, kind }
    }

    /// The client could not be built.
    pub(in crate::upstream) fn of_client(stage: Stage, error: &reqwest::Error) -> Self {
        tracing::error!(error = %error, "the client for calling out cannot be made");
        Self { stage, kind: FaultKind::Internal }
    }

    /// A connection could not be opened, or its handshake failed.
    pub(in crate::upstream) fn of_io(stage: Stage, error: &io::Error) -> Self {
        Self { stage, kind: of_link(stage, error).unwrap_or(FaultKind::Failed(Some(error.kind()))) }
    }

    /// The head of the response didn't arrive.
    pub(in crate::upstream) fn of_head(stage: Stage, error: &reqwest::Error) -> Self {
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

/// The fault that one link of a source chain stands for, if any.
fn of_link(stage: Stage, error: &(dyn Error + 'static)) -> Option<FaultKind> {
    if let Some(fault) = error.downcast_ref::<NameFault>() {
        return Some(FaultKind::Name(fault.clone()));
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // "Too large" is a parse error as well.
        return match error.is_parse_too_large() {
            true => Some(FaultKind::HeadTooLarge),
            false => error.is_parse().then_some(FaultKind::NotHttp),
        };
    }
    let error = error.downcast_ref::<io::Error>()?;
    // An error inside an `io::Error` is not part of its source chain.
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
            // A bad signature means an authority that has a trusted name but not its key, such as one that was
            // created again.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => FaultKind::CertificateUnknownAuthority,
            CertificateError::Other(other) if of_authority(&*other.0) => FaultKind::CertificateOfAuthority,
            // The library's message may quote names, so only the kind is kept.
            _ => FaultKind::Tls("its certificate cannot be verified".into()),
        },
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => FaultKind::NotTls,
        other => FaultKind::Tls(other.to_string()),
    }
}

fn of_authority(problem: &(dyn Error + Send + Sync + 'static)) -> bool {
    matches!(problem.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}
