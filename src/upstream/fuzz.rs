//! The fuzz targets of this layer; see `crate::fuzz`.

use std::io;

use bytes::BytesMut;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{
    client::exchange::Answer,
    diagnosis::{
        diagnose::Subject,
        retry_after::{retry_after, wait_in_words},
    },
    http1::{
        framing::Framing,
        response_head::{AnswerHead, Head, take},
    },
    oauth::{encodings::forms_of, token_response},
};
use crate::domain::{
    connectors::{CLIENT_ID, CLIENT_SECRET, FieldId, file},
    credentials::{
        values::{FieldValue, FieldValues},
        verification::SERVICE_WORDS_MAX,
    },
    time::Timestamp,
};

/// 24 November 2026, 16:00 UTC, in milliseconds.
const NOW: Timestamp = Timestamp::from_millis(1_795_536_000_000);
const MONTH: u64 = 30 * 86_400;
/// In how many ways an input is cut in two.
const CUTS_MAX: usize = 40;
/// The secret that is in some answers of the corpus. It has what encodings change.
const SECRET: &str = "s3cr3t/+ \"V\u{e4}lue&4711%";

const CONNECTOR: &str = r#"
id = "any"
name = "Any Service"
summary = "For tests"
used_for = ["source"]
section = "Client"
guide = "any.md"
account = ""
field = [{ id = "client_id", label = "Client ID" }, { id = "client_secret", label = "Client Secret", secret = true }]
[token]
grant = "client_credentials"
url = "https://id.example.com/token"
lifetime = "10m"
[api]
base_url = "https://api.example.com"
authorization = "Bearer {access_token}"
"#;

/// The input as one piece, in two pieces in many ways, and byte by byte.
fn cuts(input: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let step = input.len().div_ceil(CUTS_MAX).max(1);
    let in_two = (0..input.len()).step_by(step).chain(input.len().checked_sub(1));
    let in_two = in_two.map(|cut| vec![&input[..cut], &input[cut..]]);
    // A parser that starts again with each byte takes too long for a long input.
    let bytes = (input.len() < 2_000).then(|| input.chunks(1).collect());
    std::iter::once(vec![input]).chain(in_two).chain(bytes)
}

/// Runs a reader over the input however it is cut; all readings must be the same. Gives that reading.
fn read_however_cut<T: PartialEq + std::fmt::Debug>(input: &[u8], read: impl Fn(&[&[u8]]) -> io::Result<T>) -> Option<T> {
    let mut readings = cuts(input).map(|pieces| (read(&pieces).ok(), pieces.first().map_or(0, |first| first.len())));
    let (first, _) = readings.next()?;
    for (other, cut) in readings {
        assert_eq!(first, other, "cut at {cut}");
    }
    first
}

/// The heads of answers: `HEAD ` before one says that it answers such a request.
pub(crate) fn response_head(input: &[u8]) {
    let (of_head, input) = input.strip_prefix(b"HEAD ").map_or((false, input), |rest| (true, rest));
    let Some((heads, rest)) = read_however_cut(input, |pieces| heads(pieces, of_head)) else { return };
    assert!(input.ends_with(&rest), "more was taken than the head");
    for line in heads {
        let Some((status, fields, framing, _)) = line else { continue };
        for name in [header::SET_COOKIE, header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TRAILER] {
            assert!(!fields.contains_key(&name), "{name} is passed on");
        }
        assert!(!(matches!(framing, Framing::Chunked(_)) && fields.contains_key(header::CONTENT_LENGTH)), "told in two ways");
        // What was read is read the same again.
        let mut written = format!("HTTP/1.1 {status} \r\n").into_bytes();
        for (name, value) in &fields {
            written.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        if matches!(framing, Framing::Chunked(_)) {
            written.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        written.extend_from_slice(b"\r\n");
        match take(&mut BytesMut::from(&written[..]), of_head) {
            Ok(Some(Head::Final(again))) => assert_eq!((&again.headers, &again.framing), (&fields, &framing)),
            _ => panic!("what was read is no answer: {}", written.escape_ascii()),
        }
    }
}

/// Of each head what counts; `None` for an interim one.
type ReadHead = Option<(u16, HeaderMap, Framing, bool)>;

fn heads(pieces: &[&[u8]], of_head: bool) -> io::Result<(Vec<ReadHead>, Vec<u8>)> {
    let (mut came, mut heads) = (BytesMut::new(), Vec::<ReadHead>::new());
    for piece in pieces {
        came.extend_from_slice(piece);
        while !heads.last().is_some_and(Option::is_some)
            && let Some(head) = take(&mut came, of_head)?
        {
            heads.push(match head {
                Head::Interim(status, _) => {
                    assert!(status.is_informational());
                    None
                }
                Head::Final(AnswerHead { status, headers, framing, keeps }) => {
                    assert!(!(keeps && framing == Framing::ToTheEnd), "a connection is kept that has to end");
                    Some((status.as_u16(), headers, framing, keeps))
                }
            });
        }
    }
    Ok((heads, came.to_vec()))
}

/// Bodies of answers. The first line says how they are framed: `chunked`, `end`, or a length.
pub(crate) fn body_framing(input: &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (first, body) = (&input[..line], input.get(line + 1..).unwrap_or_default());
    let length = std::str::from_utf8(first).ok().and_then(|first| first.trim().parse().ok());
    let framing = || match (first.trim_ascii(), length) {
        (b"end", _) => Framing::ToTheEnd,
        (_, Some(length)) => Framing::Length(length),
        _ => Framing::chunked(),
    };
    let read = read_however_cut(body, |pieces| whole_body(framing(), pieces));
    let Some(Body { data, rest, framing: left, trailers }) = read else {
        assert_eq!(framing(), Framing::chunked(), "only chunks can be wrong");
        return;
    };
    assert!(body.ends_with(&rest) && data.len() + rest.len() <= body.len(), "more was taken than there is");
    match (framing(), length) {
        (Framing::Length(_), Some(length)) => {
            let there = usize::try_from(length).unwrap_or(usize::MAX).min(body.len());
            assert_eq!((&data[..], &rest[..]), body.split_at(there));
            assert_eq!(left, Framing::Length(length - there as u64));
        }
        (Framing::ToTheEnd, _) => assert!(data == body && rest.is_empty()),
        _ => {
            // The same body in other chunks.
            let mut written: Vec<u8> = Vec::new();
            for chunk in data.chunks(7) {
                written.extend_from_slice(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
            }
            written.extend_from_slice(b"0\r\n\r\nnext");
            let again = whole_body(Framing::chunked(), &[&written]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((&again.data, &again.rest[..]), (&data, &b"next"[..]));
            assert!(again.framing.is_over() && again.trailers.is_empty());
            assert!(trailers.is_empty() || left.is_over(), "trailers come last");
        }
    }
}

#[derive(Debug, PartialEq)]
struct Body {
    data: Vec<u8>,
    /// What stands behind the body.
    rest: Vec<u8>,
    framing: Framing,
    trailers: HeaderMap,
}

fn whole_body(mut framing: Framing, pieces: &[&[u8]]) -> io::Result<Body> {
    let (mut came, mut data, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());
    for piece in pieces {
        came.extend_from_slice(piece);
        while let Some(frame) = framing.take(&mut came)? {
            match frame.into_data() {
                Ok(piece) => {
                    assert!(!piece.is_empty(), "an empty piece");
                    data.extend_from_slice(&piece);
                }
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
    }
    Ok(Body { data, rest: came.to_vec(), framing, trailers })
}

/// When a service wants to be asked again.
pub(crate) fn retry_after_header(input: &[u8]) {
    let wait = |value: HeaderValue| retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, value)]), NOW);
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let Some(seconds) = wait(value) else { return };
    assert!(seconds <= MONTH && !wait_in_words(seconds).is_empty());
    // Both forms of the same wait are read the same.
    let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW.as_millis().unsigned_abs() / 1_000 + seconds);
    for form in [seconds.to_string(), httpdate::fmt_http_date(date)] {
        assert_eq!(HeaderValue::try_from(&form).ok().and_then(wait), Some(seconds), "{form}");
    }
}

/// What a token endpoint answers: a status, headers, an empty line, the body. `{secret}` in it is the client's
/// secret, in the body as JSON has it.
pub(crate) fn token_answer(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let in_json = serde_json::Value::from(SECRET).to_string();
    let (head, body) = (head.replace("{secret}", SECRET), body.replace("{secret}", in_json.trim_matches('"')));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.parse().ok()).filter(|status| (200..1_000).contains(status)).unwrap_or(200);
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    let answer = Answer { status, headers, body: Zeroizing::new(body.as_bytes().to_vec()), truncated: false };
    let connector = file::read("any.toml", CONNECTOR).unwrap_or_else(|error| panic!("{error}")).connector;
    let mut values = FieldValues::default();
    for (name, value) in [(CLIENT_ID, FieldValue::Plain("client-4711".into())), (CLIENT_SECRET, FieldValue::Secret(SECRET.into()))]
    {
        values.insert(FieldId::new(name).unwrap_or_else(|| panic!("{name}")), value);
    }
    match token_response::read(Subject::token_endpoint(&connector), &answer, &values, NOW) {
        Ok(token) => {
            assert!((200..300).contains(&status), "a token comes with status {status}");
            assert!((1..=MONTH).contains(&token.lifetime.as_secs()));
            let header = format!("Bearer {}", token.access_token.expose_secret());
            assert!(HeaderValue::try_from(&header).is_ok(), "the token does not fit into a header");
            let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            assert_eq!(json["access_token"], token.access_token.expose_secret());
        }
        Err(diagnosis) => {
            assert!(!diagnosis.summary.is_empty() && !diagnosis.remedy.is_empty());
            assert!(diagnosis.retry_after.is_none_or(|seconds| seconds <= MONTH && status >= 400));
            let service = diagnosis.service.clone().unwrap_or_default();
            let words = [service.error, service.description, service.content_type];
            for word in words.iter().flatten() {
                // The mark of what was cut comes on top.
                assert!(word.chars().count() <= SERVICE_WORDS_MAX + 1, "{} characters", word.chars().count());
            }
            let shown =
                [words.into_iter().flatten().collect::<Vec<_>>().join("\n"), diagnosis.summary, diagnosis.remedy].join("\n");
            for form in forms_of(SECRET) {
                assert!(!shown.contains(form.as_str()), "the secret is shown: {shown}");
            }
        }
    }
}
