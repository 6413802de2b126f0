//! A connection as bytes: what is still to be written, and what was read ahead.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, BytesMut};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use zeroize::Zeroizing;

use super::{connect::Link, read_buffer::Room};

/// A connection as bytes.
pub(in crate::upstream) struct Line {
    link: Link,
    /// What has come and nobody has taken yet.
    pub(in crate::upstream) came: BytesMut,
    room: Room,
    pub(in crate::upstream) leaving: Leaving,
}

/// What is to be written: the three parts, one behind the other.
#[derive(Default)]
pub(in crate::upstream) struct Leaving {
    /// Heads, and what stands around chunks. Cleared in memory when it goes: access tokens stand in it.
    pub(in crate::upstream) before: Zeroizing<Vec<u8>>,
    /// How much of that is written.
    written: usize,
    /// Of a body.
    pub(in crate::upstream) piece: Bytes,
    /// Behind the piece.
    pub(in crate::upstream) after: &'static [u8],
}

impl Leaving {
    fn is_empty(&self) -> bool {
        self.written == self.before.len() && self.piece.is_empty() && self.after.is_empty()
    }

    fn parts(&self) -> [IoSlice<'_>; 3] {
        [IoSlice::new(&self.before[self.written..]), IoSlice::new(&self.piece), IoSlice::new(self.after)]
    }

    fn has_left(&mut self, mut bytes: usize) {
        let of_before = bytes.min(self.before.len() - self.written);
        self.written += of_before;
        bytes -= of_before;
        let of_piece = bytes.min(self.piece.len());
        self.piece.advance(of_piece);
        bytes -= of_piece;
        self.after = &self.after[bytes.min(self.after.len())..];
        if self.written == self.before.len() {
            self.before.clear();
            self.written = 0;
        }
    }
}

impl Line {
    pub(in crate::upstream) fn new(link: Link) -> Self {
        Self { link, came: BytesMut::new(), room: Room::default(), leaving: Leaving::default() }
    }

    /// Writes what is to be written; tells how much of it has gone.
    pub(in crate::upstream) fn poll_write(&mut self, cx: &mut Context<'_>, gone: &mut u64) -> Poll<io::Result<()>> {
        while !self.leaving.is_empty() {
            let parts = self.leaving.parts();
            // One part needs no list, and some streams take only the first of several.
            let written = match (parts[1].is_empty(), parts[2].is_empty()) {
                (true, true) => Pin::new(&mut self.link).poll_write(cx, &parts[0]),
                _ => Pin::new(&mut self.link).poll_write_vectored(cx, &parts),
            };
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *gone += written as u64;
            self.leaving.has_left(written);
        }
        Pin::new(&mut self.link).poll_flush(cx)
    }

    /// Reads more of what comes; 0 at the end of the connection.
    pub(in crate::upstream) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.room.make(&mut self.came);
        let room = self.came.capacity() - self.came.len();
        let read = ready!(poll_read_buf(Pin::new(&mut self.link), cx, &mut self.came))?;
        self.room.has_read(read, room);
        Poll::Ready(Ok(read))
    }

    /// Whether nothing has come since the last answer ended, not even the end of the connection.
    pub(in crate::upstream) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut read = ReadBuf::new(&mut byte);
        // Nobody waits for this: whoever uses the connection asks again.
        Pin::new(&mut self.link).poll_read(&mut Context::from_waker(Waker::noop()), &mut read).is_pending()
    }

    /// Nobody needs it for a while: lets go of the memory that large bodies took.
    pub(in crate::upstream) fn rest(&mut self) {
        self.room.rest(&mut self.came);
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
