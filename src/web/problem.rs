//! Errors as programs read them: `application/problem+json` (RFC 9457).

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use serde::Serialize;

use crate::domain::verification::{FaultCode, Stage};

/// An error of Keytile's own. `type` is left out, so that it is `about:blank`: what it means is told by `code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// For how many seconds to wait.
    retry_after: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What went wrong at the service, where that may be told.
    diagnosis: Option<ProblemDiagnosis>,
}

/// Why there is no access token or no answer, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProblemDiagnosis {
    /// The stage at which it failed.
    pub(crate) stage: Stage,
    /// The word for what went wrong, as verifications have it.
    pub(crate) code: FaultCode,
}

#[derive(Serialize)]
struct Members<'a> {
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<&'a ProblemDiagnosis>,
    request_id: &'a str,
}

impl Problem {
    /// An error with a code that stays the same, and a sentence that says what to do.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None, headers: Vec::new(), diagnosis: None }
    }

    /// Its status code.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The word that says which error it is.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Says when to try again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds what went wrong at the service.
    pub(crate) fn with_diagnosis(mut self, diagnosis: ProblemDiagnosis) -> Self {
        self.diagnosis = Some(diagnosis);
        self
    }

    /// The answer to the request of this id.
    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let members = Members {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            retry_after: self.retry_after,
            diagnosis: self.diagnosis.as_ref(),
            request_id,
        };
        // Text and numbers: they always serialise.
        let mut response = Response::new(Body::from(serde_json::to_vec(&members).unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}
