//! The bytes of one connection, observed next to hyper, which parses them: what the connection is waiting for and
//! since when, and whether a request ends where its head says.
//!
//! hyper accepts some forms that RFC 9112 allows but that a proxy in front may read differently, such as a bare LF,
//! and pipelined requests. Browsers and proxies send neither, but attackers who smuggle requests past a proxy do.
//! So both are refused here.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::{HeaderMap, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// The most informational responses that are buffered, in bytes; further ones are dropped.
const EARLY_MAX: usize = 64 * 1024;

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rest of a head; the whole head on a new connection.
    Head,
    /// The response, and the rest of the request body.
    Answer,
    /// Another request.
    Idle,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its head ends lines with a bare LF.
    BareLineFeed,
    /// It arrived before the last response was finished.
    Pipelined,
}

/// The state of a connection. Shared by the stream, the service and the task of the connection.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// True if informational responses are waiting. Separate from the state, so that writing needs no lock.
    has_early: AtomicBool,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    head: HeadScan,
    /// The number of bytes received after the head.
    after_head: u64,
    /// The length of the body according to the head; `None` if the end is only known while reading.
    body: Option<u64>,
    /// True if the last request didn't end where its head said: no further request is accepted.
    last: bool,
    /// True if the client doesn't receive what is written.
    stalled: bool,
    /// True if the client understands informational responses.
    takes_early: bool,
    /// Informational responses, serialized.
    early: Vec<u8>,
}

/// Looks for the end of a head.
#[derive(Debug, Default)]
struct HeadScan {
    /// True once a byte of the head has arrived.
    begun: bool,
    /// True once a line that isn't empty has arrived.
    has_line: bool,
    line_has_bytes: bool,
    after_cr: bool,
    bare_line_feed: bool,
    ended: bool,
}

impl Progress {
    /// A new connection, which has been waiting since `accepted`.
    pub(super) fn new(accepted: Instant) -> Self {
        let state = State {
            phase: Phase::Head,
            since: accepted,
            head: HeadScan::default(),
            after_head: 0,
            body: Some(0),
            last: false,
            stalled: false,
            takes_early: false,
            early: Vec::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), has_early: AtomicBool::new(false) }))
    }

    /// What the connection is waiting for, and since when.
    pub(super) fn phase(&self) -> (Phase, Instant) {
        let state = self.state();
        (state.phase, state.since)
    }

    /// True if the beginning of a head has arrived, but not its end.
    pub(super) fn has_half_a_head(&self) -> bool {
        let state = self.state();
        state.phase == Phase::Head && state.head.begun
    }

    /// True if the client may still be sending what nobody reads, so that the connection should not be closed
    /// abruptly.
    pub(super) fn has_unread(&self) -> bool {
        let state = self.state();
        state.phase != Phase::Idle || state.last
    }

    /// True if nothing is in progress in either direction.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        state.phase == Phase::Idle && !state.last && !state.stalled
    }

    fn set_stalled(&self, stalled: bool) {
        self.state().stalled = stalled;
    }

    /// True if the connection must be closed after the current response.
    pub(super) fn is_last(&self) -> bool {
        let state = self.state();
        state.last || state.has_left_its_frame()
    }

    /// True if the last response has ended and no further request is accepted.
    pub(super) fn closes_now(&self) -> bool {
        let state = self.state();
        state.last && state.phase == Phase::Idle
    }

    /// Records that hyper has parsed a head. `body` is the length of the body that follows, if it is known;
    /// `takes_early` says that the HTTP version has informational responses.
    pub(super) fn begin_answer(&self, body: Option<u64>, takes_early: bool) -> Result<(), Refused> {
        let mut state = self.state();
        if state.last || state.phase != Phase::Head {
            return Err(Refused::Pipelined);
        }
        // If hyper has found the end of a head and the scan hasn't, they read it differently, which is reason
        // enough.
        let sound = state.head.ended && !state.head.bare_line_feed;
        state.phase = Phase::Answer;
        (state.body, state.takes_early) = (body, takes_early);
        if sound { Ok(()) } else { Err(Refused::BareLineFeed) }
    }

    /// Records that the response has been given to hyper completely, or dropped.
    pub(super) fn end_answer(&self) {
        let mut state = self.state();
        state.last |= state.has_left_its_frame();
        state.phase = Phase::Idle;
        state.since = Instant::now();
    }

    /// Queues an informational response (RFC 9110 section 15.2) to be written before the response. hyper only
    /// writes its own.
    pub(super) fn say_early(&self, status: StatusCode, headers: &HeaderMap) {
        let mut state = self.state();
        // Informational responses are hints, so that they may be dropped if the client doesn't receive them.
        if !state.takes_early || state.early.len() > EARLY_MAX {
            return;
        }
        let early = &mut state.early;
        early.extend_from_slice(
            format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default()).as_bytes(),
        );
        for (name, value) in headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                early.extend_from_slice(part);
            }
        }
        early.extend_from_slice(b"\r\n");
        self.0.has_early.store(true, Ordering::Relaxed);
    }

    /// The informational responses to write.
    fn take_early(&self) -> Vec<u8> {
        if !self.0.has_early.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        std::mem::take(&mut self.state().early)
    }

    fn received(&self, bytes: &[u8]) {
        let mut state = self.state();
        if state.phase == Phase::Idle && !state.last {
            state.phase = Phase::Head;
            state.since = Instant::now();
            state.head = HeadScan::default();
            state.after_head = 0;
        }
        let of_head = if state.phase == Phase::Head { state.head.scan(bytes) } else { 0 };
        state.after_head += (bytes.len() - of_head) as u64;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// True if something other than the body has arrived: more than the body, which is another request, or less, so
    /// that its rest would arrive where a request is expected. A chunked body ends inside itself, which isn't
    /// parsed here; browsers send none, so that a new connection after each costs little.
    fn has_left_its_frame(&self) -> bool {
        self.body != Some(self.after_head)
    }
}

impl HeadScan {
    /// Scans what belongs to the head, and returns how many bytes that is.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        if self.ended {
            return 0;
        }
        self.begun |= !bytes.is_empty();
        let mut line = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.part_of_line(&bytes[line..end]);
            line = end + 1;
            self.bare_line_feed |= !self.after_cr;
            if self.has_line && !self.line_has_bytes {
                self.ended = true;
                return line;
            }
            // Empty lines before a request are skipped (RFC 9112 section 2.2).
            self.has_line |= self.line_has_bytes;
            (self.line_has_bytes, self.after_cr) = (false, false);
        }
        self.part_of_line(&bytes[line..]);
        bytes.len()
    }

    /// Scans the bytes before the LF of a line.
    fn part_of_line(&mut self, part: &[u8]) {
        if let Some(last) = part.last() {
            self.line_has_bytes |= part.iter().any(|byte| *byte != b'\r');
            self.after_cr = *last == b'\r';
        }
    }
}

/// The stream of a connection. Reads update the [`Progress`]; writes fail if the client receives nothing for too
/// long.
pub(super) struct Wire<S> {
    stream: S,
    progress: Progress,
    write_limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// What is being written before the response.
    early: Vec<u8>,
    /// True if part of what hyper last wrote is left.
    midway: bool,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, progress: Progress, write_limit: Duration) -> Self {
        Self { stream, progress, write_limit, stalled: None, early: Vec::new(), midway: false }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// The result of a write, or an error if writes have made no progress for too long.
    fn written<T>(&mut self, cx: &mut Context<'_>, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            if self.stalled.take().is_some() {
                self.progress.set_stalled(false);
            }
            return attempt;
        }
        if self.stalled.is_none() {
            self.progress.set_stalled(true);
        }
        let limit = self.write_limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        stalled.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer")))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes informational responses, unless hyper is in the middle of a message: then they are dropped.
    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.progress.0.has_early.load(Ordering::Relaxed) {
            let early = self.progress.take_early();
            if !self.midway {
                self.early.extend(early);
            }
        }
        while !self.early.is_empty() {
            let attempt = Pin::new(&mut self.stream).poll_write(cx, &self.early);
            let written = ready!(self.written(cx, attempt))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.early.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// The result of hyper's write of `length` bytes.
    fn written_of(&mut self, cx: &mut Context<'_>, length: usize, attempt: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.midway = !matches!(attempt, Poll::Ready(Ok(written)) if written == length);
        self.written(cx, attempt)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let new = &buffer.filled()[before..];
        if !new.is_empty() {
            self.progress.received(new);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_early(cx))?;
        let attempt = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written_of(cx, bytes.len(), attempt)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_early(cx))?;
        let attempt = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written_of(cx, parts.iter().map(|part| part.len()).sum(), attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper has written everything it had.
        self.midway = false;
        ready!(self.poll_early(cx))?;
        let attempt = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(cx, attempt)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(cx, attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress::new(Instant::now())
    }

    #[tokio::test]
    async fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        let head = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
        let whole = [&head[..], b"a\nb\n"].concat();
        for cut in 0..=whole.len() {
            let progress = progress();
            progress.received(&whole[..cut]);
            progress.received(&whole[cut..]);
            assert_eq!(progress.begin_answer(Some(4), true), Ok(()), "{cut}");
            assert!(!progress.is_last(), "{cut}");
            progress.end_answer();
            assert!(!progress.has_unread() && progress.phase().0 == Phase::Idle, "{cut}");
        }
    }

    #[tokio::test]
    async fn a_bare_line_feed_is_seen() {
        for head in [
            &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let progress = progress();
            progress.received(head);
            assert_eq!(progress.begin_answer(Some(0), true), Err(Refused::BareLineFeed), "{head:?}");
        }
    }

    #[tokio::test]
    async fn what_comes_before_the_answer_and_is_not_its_body_is_the_end() {
        let head = b"GET / HTTP/1.1\r\n\r\n";
        let together = progress();
        together.received(&[&head[..], head].concat());
        assert_eq!(together.begin_answer(Some(0), true), Ok(()));
        assert!(together.is_last());
        together.end_answer();
        assert_eq!(together.begin_answer(Some(0), true), Err(Refused::Pipelined));

        let later = progress();
        later.received(head);
        assert_eq!(later.begin_answer(Some(3), true), Ok(()));
        assert!(later.is_last(), "an answer to half a request ends the connection");
        later.received(b"abc");
        assert!(!later.is_last());
        later.received(b"G");
        assert!(later.is_last());
        later.end_answer();
        later.received(b"ET / HTTP/1.1\r\n\r\n");
        assert_eq!(later.begin_answer(Some(0), true), Err(Refused::Pipelined));

        let chunked = progress();
        chunked.received(head);
        assert_eq!(chunked.begin_answer(None, true), Ok(()));
        assert!(chunked.is_last());
    }

    #[tokio::test]
    async fn one_request_after_the_other_is_taken() {
        let progress = progress();
        for _ in 0..3 {
            assert!(!progress.has_half_a_head());
            progress.received(b"GET / HTT");
            assert!(progress.has_half_a_head());
            progress.received(b"P/1.1\r\n\r\n");
            assert_eq!(progress.begin_answer(Some(0), true), Ok(()));
            assert!(!progress.is_last());
            progress.end_answer();
        }
    }

    #[tokio::test]
    async fn a_client_that_takes_no_answer_is_not_waited_for() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (stream, mut client) = tokio::io::duplex(8);
        let mut wire = Wire::new(stream, progress(), Duration::from_millis(20));
        wire.write_all(b"12345678").await.unwrap();
        assert_eq!(wire.write_all(b"9").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut taken = [0; 8];
        client.read_exact(&mut taken).await.unwrap();
        wire.write_all(b"9").await.unwrap();
    }
}
