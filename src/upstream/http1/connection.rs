//! A connection as a stream of bytes: a read buffer, and what is waiting to be written.

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

pub(in crate::upstream) struct Line {
    link: Link,
    /// Received bytes that are not yet parsed.
    pub(in crate::upstream) came: BytesMut,
    room: Room,
    pub(in crate::upstream) leaving: Leaving,
}

/// What is waiting to be written: three parts, in this order.
#[derive(Default)]
pub(in crate::upstream) struct Leaving {
    /// Heads and chunk framing. Wiped when dropped, because heads contain access tokens.
    pub(in crate::upstream) before: Zeroizing<Vec<u8>>,
    /// How many bytes of `before` are written.
    written: usize,
    /// A piece of the body.
    pub(in crate::upstream) piece: Bytes,
    /// What follows the piece.
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

    /// Writes everything that is waiting, and adds the number of written bytes to `gone`.
    pub(in crate::upstream) fn poll_write(&mut self, cx: &mut Context<'_>, gone: &mut u64) -> Poll<io::Result<()>> {
        while !self.leaving.is_empty() {
            let parts = self.leaving.parts();
            // A single part needs no vectored write, and some streams write only the first of several.
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

    /// Reads more bytes; returns 0 at the end of the connection.
    pub(in crate::upstream) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.room.make(&mut self.came);
        let room = self.came.capacity() - self.came.len();
        let read = ready!(poll_read_buf(Pin::new(&mut self.link), cx, &mut self.came))?;
        self.room.has_read(read, room);
        Poll::Ready(Ok(read))
    }

    /// True if nothing has been received since the last response ended, not even the end of the connection.
    pub(in crate::upstream) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut read = ReadBuf::new(&mut byte);
        // No waker is needed: the next user of the connection polls again.
        Pin::new(&mut self.link).poll_read(&mut Context::from_waker(Waker::noop()), &mut read).is_pending()
    }

    /// Frees the memory that large bodies needed, before the connection becomes idle.
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
