//! Error responses in the shape that TalkDesk uses: a code, a message and a description, in JSON.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why the sandbox rejects an API request. The token endpoint has its own errors.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: &'static str,
    description: String,
}

impl ApiError {
    /// The description is a sentence.
    pub(super) fn new(status: StatusCode, message: &'static str, description: impl Into<String>) -> Self {
        Self { status, message, description: description.into() }
    }

    /// 401, with a `WWW-Authenticate` header.
    pub(super) fn unauthorized(description: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", description)
    }

    /// 404 for an unknown id.
    pub(super) fn no_such(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", format!("There is no {what} with this id."))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = format!("0{}0000", self.status.as_u16());
        let body = json!({ "code": code, "message": self.message, "description": self.description });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"TalkDesk sandbox\""));
        }
        response
    }
}

/// 404 for an unknown path.
pub(super) async fn no_such_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Not found", "There is nothing at this path.")
}

/// 405. The router adds the `Allow` header.
pub(super) async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "This path does not support this method.")
}
