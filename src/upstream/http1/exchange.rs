//! One request over one connection, and its response: the client side of HTTP/1.1 (RFC 9112).
//!
//! Both bodies move at the same time, because a response may begin before the request is sent completely. An
//! exchange has no task of its own: it makes progress when its caller polls it.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    Method,
    body::{Bytes, Frame},
};
use tokio::time::{Instant, Sleep};

use super::{
    headers::{RequestHead, Told, write_trailers},
    pool::Lease,
    request::Early,
    request_body::{Outbound, Streaming, Watch},
    response_head::{self, AnswerHead, Head},
};
use crate::upstream::limits::Limits;

/// The most informational responses to one request.
const INTERIM_MAX: u32 = 32;

/// Why a connection brought no response.
pub(super) enum Unanswered {
    /// Nothing was sent. Contains the body if it streams.
    Unsent(Option<Box<Streaming>>),
    /// The connection broke, or the bytes received are not a response.
    Broken,
    TimedOut,
}

/// A request in progress, and the part of its response that has arrived. Boxed because it is moved often.
pub(in crate::upstream) struct Exchange {
    lease: Lease,
    begun: Instant,
    /// The time limit for the head of the response; `idle` is the limit for each piece of its body.
    first_byte: Duration,
    idle: Duration,
    /// The rest of a streaming request body.
    body: Option<Box<Streaming>>,
    is_chunked: bool,
    /// Whether the request is HEAD, so that its response has no body.
    of_head: bool,
    /// The number of informational responses so far.
    interim: u32,
    /// The number of bytes of the request that are sent.
    gone: u64,
    sending: Sending,
    /// The head of the response; empty until it has arrived.
    pub(in crate::upstream) head: AnswerHead,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    UnderWay,
    Done,
    /// Sending failed. There may be a response all the same.
    Failed,
}

impl Exchange {
    /// Starts a request. `begun` is the time from which its limits count.
    pub(in crate::upstream) fn begin(
        mut lease: Lease,
        begun: Instant,
        limits: &Limits,
        head: &RequestHead<'_>,
        body: Outbound,
    ) -> Box<Self> {
        let leaving = &mut lease.line().leaving;
        head.write(&mut leaving.before);
        let body = match body {
            Outbound::Whole(body) => {
                leaving.piece = body;
                None
            }
            Outbound::Streaming(body) => Some(body),
        };
        let Limits { first_byte, idle, .. } = *limits;
        Box::new(Self {
            lease,
            begun,
            first_byte,
            idle,
            body,
            is_chunked: head.told == Told::Chunked,
            of_head: head.forward.came.method == Method::HEAD,
            interim: 0,
            gone: 0,
            sending: Sending::UnderWay,
            head: AnswerHead::default(),
        })
    }

    /// Waits for the head of the response. The time limit restarts as long as the client's body moves, because most
    /// services respond only when they have all of it. Informational responses go to `early`.
    pub(super) async fn answer(&mut self, watch: &Watch, early: &Early) -> Result<(), Unanswered> {
        let mut seen = watch.moved();
        let first = self.begun + self.first_byte;
        self.lease.alarm().reset(first);
        poll_fn(|cx| {
            if let Poll::Ready(answered) = self.poll_head(cx, early) {
                return Poll::Ready(answered);
            }
            while self.lease.alarm().poll(cx).is_ready() {
                let now = watch.moved();
                if now == seen {
                    return Poll::Ready(Err(Unanswered::TimedOut));
                }
                seen = now;
                let next = Instant::now() + self.first_byte;
                self.lease.alarm().reset(next);
            }
            Poll::Pending
        })
        .await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, early: &Early) -> Poll<Result<(), Unanswered>> {
        self.send(cx);
        if self.body.as_ref().is_some_and(|body| body.has_broken_off()) {
            return Poll::Ready(Err(Unanswered::Broken));
        }
        loop {
            match response_head::take(&mut self.lease.line().came, self.of_head) {
                Ok(Some(Head::Final(head))) => {
                    self.head = head;
                    return Poll::Ready(Ok(()));
                }
                Ok(Some(Head::Interim(status, headers))) if self.interim < INTERIM_MAX => {
                    self.interim += 1;
                    early(status, &headers);
                    continue;
                }
                Ok(Some(Head::Interim(..))) => {
                    tracing::debug!("an API sent no end of interim answers");
                    return Poll::Ready(Err(Unanswered::Broken));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "an API answered what is not HTTP");
                    return Poll::Ready(Err(Unanswered::Broken));
                }
            }
            match ready!(self.lease.line().poll_read(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) if self.gone == 0 => return Poll::Ready(Err(Unanswered::Unsent(self.body.take()))),
                Ok(0) => return Poll::Ready(Err(Unanswered::Broken)),
                Err(error) => {
                    tracing::debug!(%error, "a connection to an API broke");
                    return Poll::Ready(Err(Unanswered::Broken));
                }
            }
        }
    }

    /// Sends as much as possible without waiting.
    fn send(&mut self, cx: &mut Context<'_>) {
        if self.sending != Sending::UnderWay {
            return;
        }
        match self.poll_send(cx) {
            Poll::Ready(Ok(())) => self.sending = Sending::Done,
            Poll::Ready(Err(_)) => self.sending = Sending::Failed,
            Poll::Pending => {}
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.lease.line().poll_write(cx, &mut self.gone))?;
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
            let frame = ready!(body.poll_frame(cx)).transpose()?;
            let leaving = &mut self.lease.line().leaving;
            match frame.map(Frame::into_data) {
                Some(Ok(piece)) if self.is_chunked && !piece.is_empty() => {
                    leaving.before.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                    (leaving.piece, leaving.after) = (piece, b"\r\n");
                }
                Some(Ok(piece)) => leaving.piece = piece,
                // The end of the body, with or without trailers.
                other => {
                    self.body = None;
                    if self.is_chunked {
                        leaving.before.extend_from_slice(b"0\r\n");
                        if let Some(Err(frame)) = other
                            && let Ok(trailers) = frame.into_trailers()
                        {
                            write_trailers(&mut leaving.before, &trailers);
                        }
                        leaving.before.extend_from_slice(b"\r\n");
                    }
                }
            }
        }
    }

    /// The next piece of the response body. Also continues sending the request.
    pub(in crate::upstream) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.send(cx);
        let (line, framing) = (self.lease.line(), &mut self.head.framing);
        loop {
            match framing.take(&mut line.came) {
                Ok(None) if framing.is_over() => return Poll::Ready(None),
                Ok(None) => {}
                piece => return Poll::Ready(piece.transpose()),
            }
            match ready!(line.poll_read(cx)) {
                Ok(0) => {
                    if let Err(error) = framing.end() {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// The time limit for each piece of the body.
    pub(in crate::upstream) fn idle(&self) -> Duration {
        self.idle
    }

    /// The timer of the caller that waits for the next piece.
    pub(in crate::upstream) fn alarm(&mut self) -> Pin<&mut Sleep> {
        self.lease.alarm()
    }

    /// Ends the exchange. The connection is kept only if no bytes are left that could be taken for the next
    /// response.
    pub(in crate::upstream) fn end(mut self) {
        if self.head.keeps && self.sending == Sending::Done && self.lease.line().came.is_empty() {
            self.lease.give_back(self.begun);
        }
    }
}
