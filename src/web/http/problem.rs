//! Errors for API clients: `application/problem+json` (RFC 9457).

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::{ToSchema, openapi::Ref};

use crate::domain::credentials::verification::{FaultCode, Stage};

/// An error of Keytile itself. `type` is absent, which means `about:blank`; `code` tells which error it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// The seconds to wait before a retry.
    retry_after: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What went wrong at the service, if the client may know.
    diagnosis: Option<ProblemDiagnosis>,
    /// What is wrong with each member of the request.
    errors: Vec<MemberError>,
    /// The verification that failed.
    verification: Option<Box<Value>>,
}

/// What is wrong with one member of a body, or one parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct MemberError {
    /// The path of the member, such as `fields.client_secret`; empty for the whole body.
    pub(crate) field: String,
    /// What is wrong and what is expected.
    pub(crate) message: String,
    /// A code for what is wrong.
    pub(crate) code: &'static str,
}

/// Why there is no access token or no response, for API clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProblemDiagnosis {
    /// The stage that failed.
    pub(crate) stage: Stage,
    /// What went wrong, as in verifications.
    pub(crate) code: FaultCode,
}

/// The schema of a verification, which belongs to the API and is only named here.
fn verification_schema() -> Ref {
    Ref::from_schema_name("Verification")
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// The status code's name.
    title: &'a str,
    /// The status code.
    status: u16,
    /// A code for the error. Codes don't change.
    #[schema(example = "invalid")]
    code: &'a str,
    /// What happened and what to do.
    detail: &'a str,
    /// How many seconds to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// At which stage using the service failed, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    diagnosis: Option<&'a ProblemDiagnosis>,
    /// The members of the body or query parameters that are wrong.
    #[serde(skip_serializing_if = "<[MemberError]>::is_empty")]
    errors: &'a [MemberError],
    /// The failed verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = verification_schema)]
    verification: Option<&'a Value>,
    /// The request's id, as in Keytile's log.
    request_id: &'a str,
}

impl Problem {
    /// An error with a stable code, and a sentence that says what to do.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
            headers: Vec::new(),
            diagnosis: None,
            errors: Vec::new(),
            verification: None,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Sets the seconds to wait before a retry.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn with_diagnosis(mut self, diagnosis: ProblemDiagnosis) -> Self {
        self.diagnosis = Some(diagnosis);
        self
    }

    pub(crate) fn with_errors(mut self, errors: Vec<MemberError>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn with_verification(mut self, verification: Value) -> Self {
        self.verification = Some(Box::new(verification));
        self
    }

    /// The response to the request with this id.
    pub(crate) fn write(self, request_id: &str) -> Response<Body> {
        let members = ProblemBody {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            retry_after: self.retry_after,
            diagnosis: self.diagnosis.as_ref(),
            errors: &self.errors,
            verification: self.verification.as_deref(),
            request_id,
        };
        // Strings and numbers always serialize.
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

impl IntoResponse for Problem {
    /// Only the status, with the problem as an extension: [`problems`](crate::web::api::problems) writes the body,
    /// because it knows the request id.
    fn into_response(self) -> axum::response::Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
