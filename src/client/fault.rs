//! Why a request to the server has led to nothing.

use std::{error::Error, io};

use super::Problem;

/// Why there is no answer that is good. No words repeat what was sent.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The API says why it has not done it.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The request was not sent.
    #[error("it {0}")]
    Unreachable(String),
    /// The request may have been sent, and no answer came, or not all of it.
    #[error("it {0}")]
    Broken(String),
    /// Something before the server, or the server in distress, answers with this status.
    #[error("it responded with status {0}")]
    Unwell(u16),
    /// What answers is no Keytile, or another version of it.
    #[error("it responded {0}")]
    NotUnderstood(String),
    /// The client could not be made.
    #[error("{0}")]
    Setup(String),
    /// What was to be sent could not be read.
    #[error("{0}")]
    Body(String),
}

/// The error of a request, without its address.
pub(super) fn of(error: &reqwest::Error) -> ClientError {
    if error.is_connect() {
        return ClientError::Unreachable(words(error));
    }
    if error.is_builder() {
        return ClientError::Setup(words(error));
    }
    ClientError::Broken(words(error))
}

/// What follows “it”.
fn words(error: &reqwest::Error) -> String {
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if let Some(known) = known(cause) {
            return known;
        }
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    if error.is_timeout() {
        return "did not respond in time".into();
    }
    if error.is_connect() { format!("cannot be reached ({cause})") } else { format!("did not send a complete response ({cause})") }
}

fn known(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(cause) = cause.downcast_ref::<io::Error>() {
        if let Some(inner) = cause.get_ref().and_then(|inner| known(inner)) {
            return Some(inner);
        }
        return match cause.kind() {
            io::ErrorKind::ConnectionRefused => Some("refused the connection".into()),
            io::ErrorKind::TimedOut => Some("did not respond in time".into()),
            _ => None,
        };
    }
    match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(reason) => Some(match reason {
            rustls::CertificateError::UnknownIssuer => {
                "has a certificate from an authority that is not trusted; if it's your own, pass it with --ca".into()
            }
            reason => format!("has a certificate that cannot be trusted ({reason})"),
        }),
        rustls::Error::InvalidMessage(_) => {
            Some("did not respond with TLS; if it doesn't use TLS, start the address with http://".into())
        }
        reason => Some(format!("could not set up TLS ({reason})")),
    }
}
