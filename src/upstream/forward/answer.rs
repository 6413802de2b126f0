//! The body of an answer, streaming. The connection it comes over is kept when its end is reached, and closed when it
//! is given up before.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Instant;

use super::{exchange::Exchange, framing::Framing};

/// The body of an API's answer. Whoever reads it drives the exchange that it belongs to.
pub struct AnswerBody {
    /// `None` once it has ended.
    exchange: Option<Exchange>,
    framing: Framing,
    idle: Duration,
    /// True while the alarm runs.
    waiting: bool,
}

impl AnswerBody {
    pub(super) fn new(exchange: Exchange, framing: Framing, idle: Duration) -> Self {
        let mut answer = Self { exchange: Some(exchange), framing, idle, waiting: false };
        answer.end_if_over();
        answer
    }

    fn end_if_over(&mut self) {
        if self.framing.is_over()
            && let Some(exchange) = self.exchange.take()
        {
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
        match exchange.poll_piece(cx, &mut this.framing) {
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
                let mut alarm = exchange.lease().alarm();
                if !this.waiting {
                    this.waiting = true;
                    alarm.as_mut().reset(Instant::now() + this.idle);
                }
                if alarm.poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.exchange = None;
                Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.framing.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.framing.size_hint()
    }
}
