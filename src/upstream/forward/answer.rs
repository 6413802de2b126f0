//! The body of an answer, streaming. The connection it comes over is kept when its end is reached, and closed when it
//! is given up before.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use super::pool::Lease;

/// The body of an API's answer. Whoever reads it drives the connection that it comes over.
pub struct AnswerBody {
    body: Incoming,
    lease: Option<Lease>,
    idle: Duration,
    /// True while the alarm runs.
    waiting: bool,
}

impl AnswerBody {
    pub(super) fn new(body: Incoming, lease: Lease, idle: Duration) -> Self {
        let mut answer = Self { body, lease: Some(lease), idle, waiting: false };
        answer.give_back_at_end();
        answer
    }

    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        // Asked first, because the connection reads only what somebody asks for.
        let first = Pin::new(&mut self.body).poll_frame(cx);
        match &mut self.lease {
            Some(lease) if first.is_pending() => {
                lease.drive(cx);
                Pin::new(&mut self.body).poll_frame(cx)
            }
            _ => first,
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(lease) = &mut self.lease else { return Poll::Pending };
        if !self.waiting {
            self.waiting = true;
            lease.alarm().reset(Instant::now() + self.idle);
        }
        lease.alarm().poll(cx)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.poll_body(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                self.give_back_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(io::Error::other(error))))
            }
            Poll::Ready(None) => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
                Poll::Ready(None)
            }
            Poll::Pending if self.poll_alarm(cx).is_ready() => {
                self.lease = None;
                Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
