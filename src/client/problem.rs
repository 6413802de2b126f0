//! An error as the API tells it (RFC 9457), read.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use serde_json::Value;

/// Why the API has not done what it was asked.
#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// Which error it is, as a word that stays the same.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// What is wrong with which member of the request.
    #[serde(default)]
    pub errors: Vec<MemberError>,
    /// The verification that did not pass.
    #[serde(default)]
    pub verification: Option<Value>,
    /// By which the log of the server speaks of the request.
    #[serde(default)]
    pub request_id: String,
    /// All of it, as it came.
    #[serde(skip)]
    pub text: Vec<u8>,
}

/// What is wrong with one member of a request.
#[derive(Debug, Clone, Deserialize)]
pub struct MemberError {
    /// The path of the member.
    pub field: String,
    /// A sentence for people.
    pub message: String,
    /// The same as a word.
    pub code: String,
}

impl Problem {
    /// Reads an answer; `None` if it is no problem.
    pub(super) fn read(headers: &HeaderMap, text: &[u8]) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        if !kind.trim_start().to_ascii_lowercase().starts_with("application/problem+json") {
            return None;
        }
        let problem: Self = serde_json::from_slice(text).ok()?;
        Some(Self { text: text.to_vec(), ..problem })
    }
}
