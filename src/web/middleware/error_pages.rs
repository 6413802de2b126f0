//! Puts a page around each error that has none.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::request_id::RequestId;
use crate::web::{
    http::error::Words,
    layout::{self, Layout},
    session::Visitor,
    state::WebState,
};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: Layout,
    status: u16,
    title: &'a str,
    message: &'a str,
    request_id: Option<&'a str>,
}

/// The middleware that puts a page around each error that has none.
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
            // 405 says what is allowed, 429 and 503 when to come back.
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
