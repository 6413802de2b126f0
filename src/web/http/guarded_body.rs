//! A response body that owns a value until the response ends, whether it is sent completely or dropped.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// A body, with a value that is dropped after its last byte or together with it.
pub(in crate::web) struct Holding<B, T> {
    body: B,
    held: Option<T>,
}

impl<B, T> Holding<B, T> {
    pub(in crate::web) fn new(body: B, held: T) -> Self {
        Self { body, held: Some(held) }
    }
}

impl<B, T> HttpBody for Holding<B, T>
where
    B: HttpBody<Data = Bytes, Error = axum::Error> + Unpin,
    T: Unpin,
{
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // If the length is known, the response may be complete before this body is polled for its end.
        if frame.is_ready() && self.body.size_hint().exact() == Some(0) {
            self.held = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
