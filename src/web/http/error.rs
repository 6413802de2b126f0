//! Errors of pages: one mapping of errors to HTTP, and the pages that show them.
//!
//! An unexpected error responds only "Internal Server Error" with the request id, and is logged once with its
//! cause.

use std::{any::Any, error::Error};

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    service::ServiceError,
    web::{
        layout::{self, Layout},
        middleware::request_id::RequestId,
        session::Visitor,
        state::WebState,
    },
};

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
        let mut causes = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push_str(": ");
            causes.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(cause = causes, "a request failed");
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
    /// Only the status: [`error_pages`] adds the page.
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
enum Words {
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

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: Layout,
    status: u16,
    title: &'a str,
    message: &'a str,
    request_id: Option<&'a str>,
}

/// The middleware that adds a page to each error without one.
pub(crate) async fn error_pages(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let response = next.run(request).await;
    let status = response.status();
    let has_page = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !(status.is_client_error() || status.is_server_error()) || has_page {
        return response;
    }
    let (title, message) = match response.extensions().get::<Words>() {
        Some(Words::ForgedForm) => (
            "This page is out of date",
            "This form isn't from your current session. Go back, reload the page and send it again. This can happen if you signed in again after opening the page.",
        ),
        Some(Words::Forbidden) => {
            ("Not allowed", "You don't have permission to do this. Ask a Keytile administrator if you need access.")
        }
        Some(Words::OfStatus) | None => words(status),
    };
    let visitor = response.extensions().get::<Visitor>();
    let page = ErrorPage {
        layout: Layout::for_visitor(&state, visitor, title),
        status: status.as_u16(),
        title,
        message,
        request_id: id.as_ref().filter(|_| status.is_server_error()).map(RequestId::as_str),
    };
    match layout::page(status, &page) {
        Ok(mut page) => {
            // 405 says what is allowed, 429 and 503 when to retry.
            for kept in [header::ALLOW, header::RETRY_AFTER] {
                if let Some(value) = response.headers().get(&kept) {
                    page.headers_mut().insert(kept, value.clone());
                }
            }
            page
        }
        Err(_) => response,
    }
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => {
            ("Page not found", "It may have been deleted, the link may be incomplete, or you may not have access.")
        }
        StatusCode::FORBIDDEN => {
            ("Request refused", "This request came from another site. Open the page in Keytile and try again there.")
        }
        StatusCode::MISDIRECTED_REQUEST => {
            ("Wrong address", "Keytile doesn't use this host name. Open it at the address it was set up with.")
        }
        StatusCode::METHOD_NOT_ALLOWED => ("Method not allowed", "This address doesn't accept this kind of request."),
        StatusCode::TOO_MANY_REQUESTS => (
            "Too many requests",
            "You have several requests in progress. Wait until they have finished, then go back and send this one again.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("Form too large", "The form is larger than 256 KiB. Nothing was saved. Go back and shorten it.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("Not a form", "This address only accepts forms."),
        StatusCode::REQUEST_TIMEOUT => {
            ("Request timed out", "The form took too long to arrive. Nothing was saved. Go back and send it again.")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Temporarily unavailable", "Keytile can't handle this request right now. Try again in a moment.")
        }
        status if status.is_server_error() => ("Internal Server Error", ""),
        _ => ("Bad request", "Part of this request is missing or invalid. Go back, reload the page and try again."),
    }
}
