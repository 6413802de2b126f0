//! Errors of pages: one mapping of errors to HTTP, and the pages that show them.
//!
//! An unexpected error responds only "Internal Server Error" with the request id, and is logged once with its
//! cause.

use std::{any::Any, error::Error};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{domain::error_causes::with_causes, service::ServiceError};

/// Why a handler has no page to show.
#[derive(Debug)]
pub(crate) enum PageError {
    /// Nothing exists at this path.
    NotFound,
    /// No page of Keytile sends such a request.
    BadRequest,
    /// The body is larger than any form.
    TooLarge,
    /// The body didn't arrive in time.
    TooSlow,
    /// The body isn't a form.
    NotAForm,
    /// No page of the session sent this form.
    ForgedForm,
    /// The role doesn't allow it.
    Forbidden,
    /// The user has too many calls in progress.
    TooMany,
    /// An unexpected error, which was logged when this value was created.
    Internal,
}

impl PageError {
    /// An unexpected error: logs it with its causes.
    pub(crate) fn internal(error: impl Error) -> Self {
        tracing::error!(cause = with_causes(&error), "a request failed");
        Self::Internal
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ForgedForm | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<ServiceError> for PageError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(_) => Self::Forbidden,
            ServiceError::TooMany => Self::TooMany,
            error => Self::internal(error),
        }
    }
}

impl IntoResponse for PageError {
    /// Only the status: [`error_pages`](crate::web::middleware::error_pages::error_pages) adds the page.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if matches!(self, Self::TooMany) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(Words::of(&self));
        response
    }
}

/// The response after a panic in a handler. The panic hook has already printed the message; it isn't repeated here,
/// because it may contain anything.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Which message to show for a status with several meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    OfStatus,
    ForgedForm,
    Forbidden,
}

impl Words {
    const fn of(error: &PageError) -> Self {
        match error {
            PageError::ForgedForm => Self::ForgedForm,
            PageError::Forbidden => Self::Forbidden,
            _ => Self::OfStatus,
        }
    }
}
