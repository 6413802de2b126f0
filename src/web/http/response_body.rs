//! A response body: of a page, or one that a service is still sending.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use crate::service::proxy::AnswerBody;

/// A response body. Two variants, so that a streaming body isn't boxed again.
pub(in crate::web) enum Content {
    Page(Body),
    /// From a service.
    Forwarded(AnswerBody),
}

impl HttpBody for Content {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut *self {
            Self::Page(body) => Pin::new(body).poll_frame(cx),
            Self::Forwarded(body) => Pin::new(body).poll_frame(cx).map_err(axum::Error::new),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Page(body) => body.is_end_stream(),
            Self::Forwarded(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(body) => body.size_hint(),
            Self::Forwarded(body) => body.size_hint(),
        }
    }
}
