//! A response with its streaming body. Its connection is kept when the body is read to its end, and closed when the
//! body is dropped earlier.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
};
use tokio::time::Instant;

use super::exchange::Exchange;

/// The response of an API whose head has arrived.
pub struct Answer(Box<Exchange>);

impl Answer {
    pub(in crate::upstream) fn new(exchange: Box<Exchange>) -> Self {
        Self(exchange)
    }

    pub fn status(&self) -> StatusCode {
        self.0.head.status
    }

    /// The headers that may be forwarded to the client.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.head.headers
    }

    /// The response in the form that is forwarded to the client.
    pub fn into_response(mut self) -> Response<AnswerBody> {
        let (status, headers) = (self.status(), mem::take(&mut self.0.head.headers));
        let mut response = Response::new(AnswerBody::new(self.0));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }

    /// Discards the response. The connection is kept if there is no body.
    pub fn give_up(self) {
        drop(AnswerBody::new(self.0));
    }
}

/// The body of an API's response. Polling it drives the exchange.
pub struct AnswerBody {
    /// `None` once the body has ended.
    exchange: Option<Box<Exchange>>,
    /// True while the timer runs.
    waiting: bool,
}

impl AnswerBody {
    fn new(exchange: Box<Exchange>) -> Self {
        let mut body = Self { exchange: Some(exchange), waiting: false };
        body.end_if_over();
        body
    }

    fn end_if_over(&mut self) {
        if let Some(exchange) = self.exchange.take_if(|exchange| exchange.head.framing.is_over()) {
            exchange.end();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Some(exchange) = &mut this.exchange else { return Poll::Ready(None) };
        match exchange.poll_piece(cx) {
            Poll::Ready(Some(Err(error))) => {
                this.exchange = None;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(piece) => {
                this.waiting = false;
                this.end_if_over();
                Poll::Ready(piece)
            }
            Poll::Pending => {
                if !this.waiting {
                    this.waiting = true;
                    let deadline = Instant::now() + exchange.idle();
                    exchange.alarm().reset(deadline);
                }
                if exchange.alarm().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.exchange = None;
                Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.exchange.as_ref().map_or_else(|| SizeHint::with_exact(0), |exchange| exchange.head.framing.size_hint())
    }
}
