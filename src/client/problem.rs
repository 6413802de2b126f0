//! An error response of the API (RFC 9457), parsed.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    /// The HTTP status code.
    pub status: u16,
    /// A stable code for the kind of error.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// What is wrong with individual members of the request.
    #[serde(default)]
    pub errors: Vec<MemberError>,
    /// The verification that didn't pass.
    #[serde(default)]
    pub verification: Option<Value>,
    /// The id of the request in the server's log.
    #[serde(default)]
    pub request_id: String,
    /// The whole body, as received.
    #[serde(skip)]
    pub text: Vec<u8>,
}

/// What is wrong with one member of the request.
#[derive(Debug, Clone, Deserialize)]
pub struct MemberError {
    /// The path of the member.
    pub field: String,
    /// A sentence for people.
    pub message: String,
    /// A stable code for the kind of error.
    pub code: String,
}

impl Problem {
    /// `None` if the response isn't a problem.
    pub(super) fn read(headers: &HeaderMap, text: &[u8]) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        if !kind.trim_start().to_ascii_lowercase().starts_with("application/problem+json") {
            return None;
        }
        let problem: Self = serde_json::from_slice(text).ok()?;
        Some(Self { text: text.to_vec(), ..problem })
    }
}
