//! The body of an answer that holds something until the answer is over: sent whole, or given up.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// A body, and what is dropped with it or after its last byte.
pub(in crate::web) struct Holding<B, T> {
    body: B,
    held: Option<T>,
}

impl<B, T> Holding<B, T> {
    /// Holds on to `held`.
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
        // Who knows the length has the whole answer now, perhaps before anybody asks this body for its end.
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
