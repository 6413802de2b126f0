//! Where the body of a response ends (RFC 9112 section 6), and how it is split into frames.

use std::io;

use bytes::{Buf, BytesMut};
use hyper::{
    body::{Bytes, Frame, SizeHint},
    header::{HeaderMap, HeaderName, HeaderValue},
};

/// The longest chunk size line, in bytes, extensions included.
const SIZE_LINE_MAX: usize = 1_024;
/// The largest trailer section, in bytes, and the most trailer fields.
const TRAILERS_MAX: usize = 16 * 1024;
const TRAILER_FIELDS_MAX: usize = 64;

/// How much of a body is still to come.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Framing {
    /// This many bytes.
    Length(u64),
    Chunked(Chunk),
    /// Everything until the connection ends.
    ToTheEnd,
}

/// The next part of a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Chunk {
    /// The line with the size of a chunk.
    Size,
    /// This many bytes of chunk data.
    Data(u64),
    /// The line end after the data of a chunk.
    End,
    /// Trailers, or the empty line if there are none.
    Trailers,
    /// Nothing: the body has ended.
    Over,
}

impl Default for Framing {
    /// No body.
    fn default() -> Self {
        Self::Length(0)
    }
}

impl Framing {
    /// A chunked body from its beginning.
    pub(in crate::upstream) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// True if the body is complete.
    pub(in crate::upstream) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// Records the end of the connection; an error if the body isn't complete.
    pub(in crate::upstream) fn end(&mut self) -> io::Result<()> {
        if *self != Self::ToTheEnd {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *self = Self::Length(0);
        Ok(())
    }

    /// How many bytes are still to come, if that is known.
    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(Chunk::Over) => SizeHint::with_exact(0),
            Self::Chunked(_) | Self::ToTheEnd => SizeHint::default(),
        }
    }

    /// Takes the next frame from the buffer; `None` if more bytes are needed.
    pub(in crate::upstream) fn take(&mut self, came: &mut BytesMut) -> io::Result<Option<Frame<Bytes>>> {
        match self {
            Self::Length(left) => Ok(piece(came, left).map(Frame::data)),
            Self::ToTheEnd => Ok(piece(came, &mut { u64::MAX }).map(Frame::data)),
            Self::Chunked(chunk) => chunk.take(came),
        }
    }
}

impl Chunk {
    fn take(&mut self, came: &mut BytesMut) -> io::Result<Option<Frame<Bytes>>> {
        loop {
            match self {
                Self::Size => {
                    let Some(size) = size_line(came)? else { return Ok(None) };
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    let Some(data) = piece(came, left) else { return Ok(None) };
                    if *left == 0 {
                        *self = Self::End;
                        // Consumed together if it is already here, so that the end of the body is noticed
                        // immediately.
                        self.take_end(came)?;
                    }
                    return Ok(Some(Frame::data(data)));
                }
                Self::End => {
                    self.take_end(came)?;
                    if *self == Self::End {
                        return Ok(None);
                    }
                }
                Self::Trailers => {
                    let Some(trailers) = trailers(came)? else { return Ok(None) };
                    *self = Self::Over;
                    return Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers)));
                }
                Self::Over => return Ok(None),
            }
        }
    }

    /// Consumes the line end after a chunk, and the last chunk that follows it if it has no trailers.
    fn take_end(&mut self, came: &mut BytesMut) -> io::Result<()> {
        match came.get(..2) {
            Some(b"\r\n") => came.advance(2),
            Some(_) => return Err(malformed()),
            None => return Ok(()),
        }
        *self = Self::Size;
        if came.starts_with(b"0\r\n\r\n") {
            came.advance(5);
            *self = Self::Over;
        }
        Ok(())
    }
}

/// As many of the remaining bytes as the buffer has.
fn piece(came: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let there = usize::try_from(*left).unwrap_or(usize::MAX).min(came.len());
    *left -= there as u64;
    (there > 0).then(|| came.split_to(there).freeze())
}

/// Consumes the line with the size of a chunk. Chunk extensions are ignored.
fn size_line(came: &mut BytesMut) -> io::Result<Option<u64>> {
    let Some(end) = memchr::memchr(b'\n', came) else {
        // The end of the line may be cut in two.
        return if came.strip_suffix(b"\r").unwrap_or(came).len() > SIZE_LINE_MAX { Err(malformed()) } else { Ok(None) };
    };
    let line = came[..end].strip_suffix(b"\r").filter(|line| line.len() <= SIZE_LINE_MAX).ok_or_else(malformed)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    if digits == 0 || digits > 15 || !(rest.is_empty() || rest.starts_with(b";")) {
        return Err(malformed());
    }
    let size = line[..digits].iter().fold(0, |size, digit| size << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or(0)));
    came.advance(end + 1);
    Ok(Some(size))
}

/// Consumes trailers and the empty line after them.
fn trailers(came: &mut BytesMut) -> io::Result<Option<HeaderMap>> {
    if came.starts_with(b"\r\n") {
        came.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let mut fields = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
    let (length, trailers) = match httparse::parse_headers(came, &mut fields) {
        Ok(httparse::Status::Complete((length, fields))) if length <= TRAILERS_MAX => {
            let mut trailers = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| malformed())?;
                trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| malformed())?);
            }
            (length, trailers)
        }
        Ok(httparse::Status::Partial) if came.len() <= TRAILERS_MAX => return Ok(None),
        Ok(_) | Err(_) => return Err(malformed()),
    };
    came.advance(length);
    Ok(Some(trailers))
}

/// The error for bytes that are not HTTP/1.1.
pub(in crate::upstream) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not of HTTP/1.1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A whole body that arrives in two parts: its data, and its trailers as text.
    fn read(framing: &mut Framing, came: &[u8], cut: usize) -> io::Result<(Vec<u8>, Option<String>)> {
        let (mut buffer, mut data, mut trailers) = (BytesMut::new(), Vec::new(), None);
        for part in [&came[..cut], &came[cut..]] {
            buffer.extend_from_slice(part);
            while let Some(frame) = framing.take(&mut buffer)? {
                match frame.into_data() {
                    Ok(piece) => data.extend_from_slice(&piece),
                    Err(frame) => trailers = frame.into_trailers().ok().map(|trailers| format!("{trailers:?}")),
                }
            }
        }
        Ok((data, trailers))
    }

    #[test]
    fn chunks_are_put_together_wherever_they_are_cut() {
        let plain = (b"hello, world".to_vec(), None);
        let ended = (b"hello, world".to_vec(), Some("{\"x-sum\": \"7\"}".to_owned()));
        for (came, expected) in [
            (&b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"[..], &plain),
            (b"005;a=\"b\"\r\nhello\r\n7 \r\n, world\r\n00\r\n\r\n", &plain),
            (b"C\r\nhello, world\r\n0\r\nX-Sum: 7\r\n\r\n", &ended),
        ] {
            for cut in 0..=came.len() {
                let mut framing = Framing::chunked();
                assert_eq!(&read(&mut framing, came, cut).unwrap(), expected, "{cut}");
                assert!(framing.is_over(), "{cut}");
                assert_eq!(framing.size_hint().exact(), Some(0));
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_off_is_not_whole() {
        for cut in 0..b"5\r\nhello\r\n0\r\n\r\n".len() {
            let mut framing = Framing::chunked();
            read(&mut framing, &b"5\r\nhello\r\n0\r\n\r\n"[..cut], cut).unwrap();
            assert!(!framing.is_over() && framing.end().is_err(), "{cut}");
        }
        let mut framing = Framing::Length(5);
        read(&mut framing, b"hell", 2).unwrap();
        assert_eq!(framing.size_hint().exact(), Some(1));
        assert!(framing.end().is_err());
        let mut framing = Framing::ToTheEnd;
        assert_eq!(read(&mut framing, b"hello", 2).unwrap().0, b"hello");
        assert!(!framing.is_over() && framing.end().is_ok() && framing.is_over());
    }

    #[test]
    fn what_stands_behind_a_body_is_not_taken() {
        for (mut framing, came) in [(Framing::Length(2), &b"hiHTTP"[..]), (Framing::chunked(), b"2\r\nhi\r\n0\r\n\r\nHTTP")] {
            let mut buffer = BytesMut::from(came);
            assert_eq!(framing.take(&mut buffer).unwrap().unwrap().into_data().unwrap(), "hi");
            assert!(framing.is_over());
            assert_eq!(&buffer[..], b"HTTP");
        }
    }

    #[test]
    fn broken_chunks_are_an_error() {
        let long = [b"1;".repeat(SIZE_LINE_MAX).as_slice(), b"\r\n"].concat();
        for came in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"0x5\r\nhello\r\n",
            b"5\nhello\r\n",
            b"5 5\r\nhello\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"1000000000000000\r\n",
            b"0\r\nno colon\r\n\r\n",
            &long,
            &[b'1'; SIZE_LINE_MAX + 1],
        ] {
            assert!(read(&mut Framing::chunked(), came, came.len()).is_err(), "{came:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_too_long_however_it_comes() {
        let line = |length: usize| format!("0;{}\r\n\r\n", "a".repeat(length - 2));
        let trailers = |length: usize| format!("0\r\na: {}\r\n\r\n", "b".repeat(length - 7));
        for (came, taken) in [
            (line(SIZE_LINE_MAX), true),
            (line(SIZE_LINE_MAX + 1), false),
            (trailers(TRAILERS_MAX), true),
            (trailers(TRAILERS_MAX + 1), false),
        ] {
            for back in 0..6 {
                let read = read(&mut Framing::chunked(), came.as_bytes(), came.len() - back);
                assert_eq!(read.is_ok(), taken, "{} {back}", came.len());
            }
        }
    }

    /// Bytes that resemble a chunked body.
    fn chunks_or_not() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"5\r\nhello\r\n".to_vec()),
            Just(b"0\r\n\r\n".to_vec()),
            Just(b"0\r\na: b\r\n\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            "[0-9a-fA-F]{1,17}".prop_map(String::into_bytes),
            "[;:= \r\n]{1,3}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..8),
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_body_is_read_the_same_wherever_it_is_cut(came in chunks_or_not(), at in any::<prop::sample::Index>()) {
            let (mut whole, mut in_two) = (Framing::chunked(), Framing::chunked());
            let cut = at.index(came.len() + 1);
            match (read(&mut whole, &came, came.len()), read(&mut in_two, &came, cut)) {
                (Ok(one), Ok(other)) => prop_assert_eq!((one, whole), (other, in_two)),
                (one, other) => prop_assert!(one.is_err() && other.is_err(), "{:?} {:?}", one, other),
            }
        }

        #[test]
        fn what_is_sent_in_chunks_comes_as_it_was(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            at in any::<prop::sample::Index>(),
        ) {
            let mut sent: Vec<u8> = Vec::new();
            for piece in &pieces {
                sent.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                sent.extend_from_slice(piece);
                sent.extend_from_slice(b"\r\n");
            }
            sent.extend_from_slice(b"0\r\n\r\n");
            let mut framing = Framing::chunked();
            prop_assert_eq!(read(&mut framing, &sent, at.index(sent.len() + 1)).unwrap(), (pieces.concat(), None));
            prop_assert!(framing.is_over());
        }
    }
}
