//! Parses the head of a response and drops the headers that are not forwarded.
//!
//! A response whose end is ambiguous is refused, or its connection is not reused: bytes after it must never be
//! taken for the response to somebody else's request (RFC 9112 section 11.1).

use std::{io, mem::MaybeUninit};

use bytes::BytesMut;
use hyper::{
    StatusCode,
    body::Bytes,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    framing::{Framing, malformed},
    headers::{drop_named_by_connection, ends_here_of_answer, names},
};

/// The most headers of a response.
const FIELDS_MAX: usize = 100;
/// The largest head, in bytes.
const HEAD_MAX: usize = 64 * 1024;

#[derive(Default)]
pub(in crate::upstream) struct AnswerHead {
    pub(in crate::upstream) status: StatusCode,
    /// Only those that may be forwarded to the client.
    pub(in crate::upstream) headers: HeaderMap,
    pub(in crate::upstream) framing: Framing,
    /// True if the connection can be used again after the body.
    pub(in crate::upstream) keeps: bool,
}

pub(in crate::upstream) enum Head {
    /// The head of the final response.
    Final(AnswerHead),
    /// The head of an informational response (RFC 9110 section 15.2), such as 103 Early Hints.
    Interim(StatusCode, HeaderMap),
}

/// Takes a head from the buffer; `None` if more bytes are needed. Skips 100 Continue, because Keytile never asks
/// for it. `of_head` says that the request was HEAD, whose response has no body.
pub(in crate::upstream) fn take(came: &mut BytesMut, of_head: bool) -> io::Result<Option<Head>> {
    loop {
        let Some(end) = end_of_head(came) else {
            return if came.len() > HEAD_MAX { Err(malformed()) } else { Ok(None) };
        };
        // However it comes: with one read it may be there as a whole.
        if end > HEAD_MAX {
            return Err(malformed());
        }
        let head = came.split_to(end).freeze();
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut []);
        match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, &head, &mut fields) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) | Err(_) => return Err(malformed()),
        }
        let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or_else(malformed)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            // Keytile never asks for an upgrade.
            return Err(malformed());
        }
        let is_interim = status.is_informational();
        if status != StatusCode::CONTINUE {
            let is_newest = answer.version == Some(1);
            let mut read = read(&head, answer.headers, status, is_newest, of_head || is_interim)?;
            return Ok(Some(if is_interim {
                read.headers.remove(header::CONTENT_LENGTH);
                Head::Interim(status, read.headers)
            } else {
                Head::Final(read)
            }));
        }
    }
}

/// The offset after the first empty line.
fn end_of_head(came: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', came).find_map(|at| match came.get(at + 1..) {
        Some([b'\n', ..]) => Some(at + 2),
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    })
}

fn read(
    head: &Bytes,
    fields: &[httparse::Header<'_>],
    status: StatusCode,
    is_newest: bool,
    of_head: bool,
) -> io::Result<AnswerHead> {
    // Room for the two headers that are added for the client, since one or two are usually dropped.
    let mut headers = HeaderMap::with_capacity(fields.len() + 1);
    let (mut codings, mut length, mut lists) = (0, None::<(u64, &[u8])>, Vec::new());
    let (mut is_chunked, mut closes, mut stays) = (false, false, false);
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| malformed())?;
        match name {
            header::CONTENT_LENGTH => {
                let told = content_length(field.value).ok_or_else(malformed)?;
                if length.replace((told, field.value)).is_some_and(|(before, _)| before != told) {
                    return Err(malformed());
                }
                continue;
            }
            header::TRANSFER_ENCODING => {
                codings += 1;
                is_chunked = field.value.eq_ignore_ascii_case(b"chunked");
                continue;
            }
            header::CONNECTION if field.value.eq_ignore_ascii_case(b"keep-alive") => {
                stays = true;
                continue;
            }
            header::CONNECTION => {
                let list = HeaderValue::from_bytes(field.value).map_err(|_| malformed())?;
                closes |= names(&list, "close");
                stays |= names(&list, "keep-alive");
                lists.push(list);
                continue;
            }
            _ => {}
        }
        if !ends_here_of_answer(&name) {
            headers.append(name, shared(head, field.value)?);
        }
    }
    drop_named_by_connection(lists.iter(), &mut headers);
    let is_chunked = match codings {
        0 => false,
        // In HTTP/1.0, or with another coding, the end of the body is unknown (section 6.1).
        _ if codings > 1 || !is_chunked || !is_newest => return Err(malformed()),
        _ => true,
    };
    // With both a length and chunks, the chunks apply, and the connection isn't reused (section 6.3).
    let keeps = !closes && (is_newest || stays) && !(is_chunked && length.is_some());
    if let Some((_, told)) = length.filter(|_| !is_chunked) {
        headers.insert(header::CONTENT_LENGTH, shared(head, told)?);
    }
    let has_no_body = of_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let (framing, keeps) = match length {
        _ if has_no_body => (Framing::Length(0), keeps),
        _ if is_chunked => (Framing::chunked(), keeps),
        Some((length, _)) => (Framing::Length(length), keeps),
        None => (Framing::ToTheEnd, false),
    };
    Ok(AnswerHead { status, headers, framing, keeps })
}

/// A header value that shares the memory of the head.
fn shared(head: &Bytes, value: &[u8]) -> io::Result<HeaderValue> {
    HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| malformed())
}

/// Accepts digits only: servers disagree about signs and lists.
fn content_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(text: &str, of_head: bool) -> io::Result<Option<AnswerHead>> {
        take(&mut BytesMut::from(text), of_head).map(|head| head.map(only_final))
    }

    fn only_final(head: Head) -> AnswerHead {
        match head {
            Head::Final(head) => head,
            Head::Interim(status, _) => panic!("{status}"),
        }
    }

    fn head(fields: &str) -> AnswerHead {
        taken(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), false).unwrap().unwrap()
    }

    fn listed(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn an_answer_says_nothing_in_the_name_of_keytile() {
        let head = head(
            "Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nKeep-Alive: timeout=5\r\n\
             Strict-Transport-Security: max-age=1\r\nClear-Site-Data: \"*\"\r\nX-Keytile-Upstream: 0\r\nContent-Encoding: br\r\n\
             Content-Range: bytes 0-1/9\r\nETag: \"x\"\r\nRetry-After: 3\r\nX-Request-Id: of the service\r\nContent-Length: 2\r\n",
        );
        assert_eq!(
            listed(&head.headers),
            [
                "content-encoding: br",
                "content-length: 2",
                "content-range: bytes 0-1/9",
                "etag: \"x\"",
                "retry-after: 3",
                "x-request-id: of the service",
            ]
        );
        assert!(head.keeps);
    }

    #[test]
    fn a_body_ends_where_the_head_says() {
        for (fields, framing, keeps) in [
            ("Content-Length: 5\r\n", Framing::Length(5), true),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Framing::Length(5), true),
            ("Content-Length: 0\r\nConnection: x, Close\r\n", Framing::Length(0), false),
            ("Transfer-Encoding: Chunked\r\n", Framing::chunked(), true),
            ("", Framing::ToTheEnd, false),
        ] {
            let head = head(fields);
            assert_eq!((head.framing, head.keeps), (framing, keeps), "{fields}");
        }
        let both = head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
        assert_eq!((both.framing, both.keeps, both.headers.len()), (Framing::chunked(), false, 0));
        let empty = taken("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true).unwrap().unwrap();
        assert_eq!((empty.framing, listed(&empty.headers)), (Framing::Length(0), vec!["content-length: 5".to_owned()]));
        for status in ["204 No Content", "304 Not Modified"] {
            let head = taken(&format!("HTTP/1.1 {status}\r\n\r\n"), false).unwrap().unwrap();
            assert_eq!((head.framing, head.keeps), (Framing::Length(0), true), "{status}");
        }
        for (version, more, keeps) in [("1.0", "", false), ("1.0", "Connection: Keep-Alive\r\n", true), ("1.1", "", true)] {
            let head = taken(&format!("HTTP/{version} 200 OK\r\nContent-Length: 1\r\n{more}\r\n"), false).unwrap().unwrap();
            assert_eq!(head.keeps, keeps, "{version} {more}");
        }
    }

    #[test]
    fn what_others_could_read_differently_is_no_answer() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nName: x\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\nName: x\0y\r\n\r\n",
            "HTTP/1.1 99 What\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(taken(text, false).is_err(), "{text:?}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1));
        assert!(taken(&many, false).is_err());
        let endless = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(HEAD_MAX));
        assert!(taken(&endless, false).is_err());
    }

    #[test]
    fn a_head_may_come_in_pieces_and_behind_interim_ones() {
        let text =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\n\
            HTTP/1.1 201 Created\r\nA: b\r\n\r\nbody";
        for cut in 0..text.len() {
            let (mut came, mut heads) = (BytesMut::new(), Vec::new());
            for part in [&text[..cut], &text[cut..]] {
                came.extend_from_slice(part);
                while heads.len() < 2
                    && let Some(head) = take(&mut came, false).unwrap()
                {
                    heads.push(match head {
                        Head::Interim(status, headers) => (status.as_u16(), listed(&headers)),
                        Head::Final(head) => (head.status.as_u16(), listed(&head.headers)),
                    });
                }
            }
            assert_eq!(heads, [(103, vec!["link: </a>".to_owned()]), (201, vec!["a: b".to_owned()])], "{cut}");
            assert_eq!(&came[..], b"body");
        }
    }

    #[test]
    fn a_head_is_too_long_however_it_comes() {
        for (length, taken) in [(HEAD_MAX, true), (HEAD_MAX + 1, false)] {
            let start = "HTTP/1.1 200 OK\r\na: ";
            let head = format!("{start}{}\r\n\r\n", "b".repeat(length - start.len() - 4));
            assert_eq!(head.len(), length);
            for cut in [head.len(), head.len() - 1] {
                assert_eq!(all_taken(head.as_bytes(), cut).is_some(), taken, "{length} {cut}");
            }
        }
    }

    /// Bytes that resemble the heads of responses.
    fn heads_or_not() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just("HTTP/1.1 200 OK\r\n".to_owned()),
            Just("HTTP/1.1 103 Early Hints\r\n".to_owned()),
            Just("Content-Length: 5\r\n".to_owned()),
            Just("Transfer-Encoding: chunked\r\n".to_owned()),
            Just("\r\n".to_owned()),
            "HTTP/[12]\\.[01] [0-9]{1,4} [a-z]{0,3}\r\n",
            "[a-zA-Z:, \r\n]{0,8}",
        ];
        let bytes = prop_oneof![4 => part.prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 0..6)];
        prop::collection::vec(bytes, 0..8).prop_map(|parts| parts.concat())
    }

    /// Each head that is parsed, as text, and the bytes left over; `None` if they are not HTTP.
    fn all_taken(came: &[u8], cut: usize) -> Option<(Vec<String>, Vec<u8>)> {
        let (mut buffer, mut heads) = (BytesMut::new(), Vec::new());
        for part in [&came[..cut], &came[cut..]] {
            buffer.extend_from_slice(part);
            // The final head is followed by a body.
            while !heads.last().is_some_and(|last: &String| last.starts_with("final"))
                && let Some(head) = take(&mut buffer, false).ok()?
            {
                heads.push(match head {
                    Head::Interim(status, headers) => format!("interim {status} {headers:?}"),
                    Head::Final(head) => format!("final {} {:?} {:?} {}", head.status, head.headers, head.framing, head.keeps),
                });
            }
        }
        Some((heads, buffer.to_vec()))
    }

    proptest! {
        #[test]
        fn heads_are_read_the_same_wherever_they_are_cut(came in heads_or_not(), at in any::<prop::sample::Index>()) {
            prop_assert_eq!(all_taken(&came, came.len()), all_taken(&came, at.index(came.len() + 1)));
        }
    }
}
