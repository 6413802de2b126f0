//! Why a request to the server failed.

use std::{error::Error, io};

use super::Problem;

/// The messages never repeat what was sent. Some continue a sentence about the server and begin with “it”.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The API responded with a problem.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The request wasn't sent.
    #[error("it {0}")]
    Unreachable(String),
    /// The request may have been sent, but the response is missing or incomplete.
    #[error("it {0}")]
    Broken(String),
    /// A proxy in front of the server, or a server in trouble, responded with this status.
    #[error("it responded with status {0}")]
    Unwell(u16),
    /// The response isn't from Keytile, or from another version of it.
    #[error("it responded {0}")]
    NotUnderstood(String),
    /// The client couldn't be created.
    #[error("{0}")]
    Setup(String),
    /// The body to send couldn't be read.
    #[error("{0}")]
    Body(String),
}

/// Leaves out the URL of the request.
pub(super) fn of(error: &reqwest::Error) -> ClientError {
    if error.is_connect() {
        return ClientError::Unreachable(words(error));
    }
    if error.is_builder() {
        return ClientError::Setup(words(error));
    }
    ClientError::Broken(words(error))
}

/// The rest of a sentence that begins with “it”.
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
