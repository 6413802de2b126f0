//! The path of a request to forward, normalised before anything is decided by it. The path that is checked is
//! the path that is sent, and no server can read it as a path outside of the prefix that was checked.
//!
//! A plain path is used unchanged. Percent-encoding is normalised (RFC 3986 section 6.2.2), so that each path
//! has one form. Anything that servers are known to read differently is rejected: dot segments, however often
//! encoded, backslashes, empty segments, control characters and broken encoding. An encoded slash stays part
//! of its segment, because some APIs put whole names into one.

use std::borrow::Cow;

/// In bytes.
pub const PATH_MAX: usize = 8 * 1024;

/// A path that still changes after being decoded this often is rejected.
const ENCODED_MAX: usize = 8;

/// Why a path isn't forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// A `.` or `..` segment, however often encoded, and also with `;` parameters.
    #[error("it has a segment `.` or `..`, perhaps encoded; write the path without")]
    DotSegment,
    /// Two slashes in a row.
    #[error("it has an empty segment (`//`); write each slash once")]
    EmptySegment,
    /// A backslash, encoded or not.
    #[error("it has a backslash, perhaps encoded")]
    Backslash,
    /// A control character, encoded or not, or a space that isn't encoded.
    #[error("it has a control character")]
    ControlCharacter,
    /// A `%` without two hexadecimal digits, a byte outside of ASCII that isn't encoded, or too many layers
    /// of encoding.
    #[error("its percent-encoding is broken: a `%` is followed by two hexadecimal digits, and what is not ASCII is encoded")]
    Encoding,
    /// Longer than [`PATH_MAX`].
    #[error("it is longer than 8,192 bytes")]
    TooLong,
}

/// A normalised path. Begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath<'a>(Cow<'a, str>);

impl<'a> RequestPath<'a> {
    /// Normalises a path that begins with `/` and has no query.
    pub fn settle(raw: &'a str) -> Result<Self, PathFault> {
        if raw.len() > PATH_MAX {
            return Err(PathFault::TooLong);
        }
        let mut encoded = false;
        let mut before = 0;
        for byte in raw.bytes() {
            match byte {
                b'/' if before == b'/' => return Err(PathFault::EmptySegment),
                b'%' => encoded = true,
                b'\\' => return Err(PathFault::Backslash),
                0..=0x20 | 0x7f => return Err(PathFault::ControlCharacter),
                0x80.. => return Err(PathFault::Encoding),
                _ => {}
            }
            before = byte;
        }
        if !encoded {
            return if has_dot_segment(raw.as_bytes()) { Err(PathFault::DotSegment) } else { Ok(Self(Cow::Borrowed(raw))) };
        }
        let settled = normal_form(raw)?;
        check_decoded(&settled)?;
        Ok(Self(Cow::Owned(settled)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the path is the prefix or below it. A prefix matches whole segments only.
    pub fn is_within(&self, prefix: &str) -> bool {
        let prefix = prefix.trim_end_matches('/');
        self.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether a segment is `.` or `..`, also with `;` parameters, which some servers cut off.
fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    })
}

/// Writes percent-encoding in upper case, and decodes unreserved characters (RFC 3986 section 2.3).
fn normal_form(raw: &str) -> Result<String, PathFault> {
    let mut settled = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        settled.push_str(&rest[..at]);
        let byte = decoded(rest.as_bytes().get(at + 1..at + 3)).ok_or(PathFault::Encoding)?;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            settled.push(char::from(byte));
        } else {
            settled.push('%');
            settled.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
        }
        rest = &rest[at + 3..];
    }
    settled.push_str(rest);
    Ok(settled)
}

fn decoded(digits: Option<&[u8]>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low] = digits? else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// Checks what a server would see that decodes the path once, twice, or until nothing is left to decode.
fn check_decoded(settled: &str) -> Result<(), PathFault> {
    let mut bytes = settled.as_bytes().to_vec();
    for _ in 0..ENCODED_MAX {
        if has_dot_segment(&bytes) {
            return Err(PathFault::DotSegment);
        }
        if bytes.contains(&b'\\') {
            return Err(PathFault::Backslash);
        }
        if bytes.iter().any(|byte| matches!(byte, 0..=0x1f | 0x7f)) {
            return Err(PathFault::ControlCharacter);
        }
        let next: Vec<u8> = percent_encoding::percent_decode(&bytes).collect();
        if next == bytes {
            return Ok(());
        }
        bytes = next;
    }
    Err(PathFault::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settled(raw: &str) -> String {
        RequestPath::settle(raw).unwrap_or_else(|fault| panic!("{raw}: {fault}")).as_str().to_owned()
    }

    #[test]
    fn a_plain_path_is_taken_as_it_is() {
        for path in ["/", "/users", "/users/", "/a..b/...", "/a;b=c/d", "/a:b@c!$&'()*+,=", "/.well-known/x", "/a/b.json", "/..."] {
            assert!(matches!(RequestPath::settle(path), Ok(RequestPath(Cow::Borrowed(same))) if same == path), "{path}");
        }
    }

    #[test]
    fn encoding_is_brought_into_its_normal_form() {
        assert_eq!(settled("/%75sers/%7euser"), "/users/~user");
        assert_eq!(settled("/a%20b/%c3%bc"), "/a%20b/%C3%BC");
        assert_eq!(settled("/group%2fname/https%3A%2F%2Fexample.com"), "/group%2Fname/https%3A%2F%2Fexample.com");
        assert_eq!(settled("/100%25"), "/100%25");
        assert_eq!(settled("/100%2525"), "/100%2525");
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        use PathFault::{Backslash, ControlCharacter, DotSegment, EmptySegment, Encoding};
        for (path, fault) in [
            ("/a/../b", DotSegment),
            ("/..", DotSegment),
            ("/a/./b", DotSegment),
            ("/a/.", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/a/.%2e/b", DotSegment),
            ("/a/%252e%252e/b", DotSegment),
            ("/a/%25252e%25252e/b", DotSegment),
            ("/a%2f..%2fb", DotSegment),
            ("/a%252f..%252fb", DotSegment),
            ("/a/..;/b", DotSegment),
            ("/a/..;x=y/b", DotSegment),
            ("/a/%2e%2e%3bx/b", DotSegment),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a/b//", EmptySegment),
            ("/a\\b", Backslash),
            ("/a%5cb", Backslash),
            ("/a%255c..%255cb", DotSegment),
            ("/a%00b", ControlCharacter),
            ("/a%0d%0ab", ControlCharacter),
            ("/a%250ab", ControlCharacter),
            ("/a b", ControlCharacter),
            ("/a\tb", ControlCharacter),
            ("/a%", Encoding),
            ("/a%2", Encoding),
            ("/a%zz", Encoding),
            ("/ä", Encoding),
        ] {
            assert_eq!(RequestPath::settle(path), Err(fault), "{path}");
        }
        assert_eq!(RequestPath::settle(&format!("/{}", "a".repeat(PATH_MAX))), Err(PathFault::TooLong));
    }

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        let within = |path: &str, prefix: &str| RequestPath::settle(path).unwrap().is_within(prefix);
        assert!(within("/users", "/users") && within("/users/", "/users") && within("/users/1", "/users/"));
        assert!(within("/", "/") && within("/anything", "/"));
        assert!(!within("/usersx", "/users") && !within("/user", "/users") && !within("/", "/users"));
        assert!(!within("/users%2F1", "/users"), "a segment of its own");
        assert!(within("/%75sers/1", "/users"));
    }

    /// Every path that some server could read this one as.
    fn readings(path: &str) -> Vec<Vec<u8>> {
        let mut all = vec![path.as_bytes().to_vec()];
        for _ in 0..20 {
            let next: Vec<u8> = percent_encoding::percent_decode(&all[all.len() - 1]).collect();
            all.push(next);
        }
        all
    }

    proptest! {
        #[test]
        fn no_reading_of_a_settled_path_goes_up(
            path in "/([a.;]|%2[eEfF5]|%5[cC]|%25|/|\\\\|%3[bB]){0,24}",
        ) {
            if let Ok(settled) = RequestPath::settle(&path) {
                for reading in readings(settled.as_str()) {
                    let text = String::from_utf8_lossy(&reading).into_owned();
                    let up = text.split(['/', '\\']).any(|segment| matches!(segment.split(';').next(), Some("." | "..")));
                    prop_assert!(!up, "{path} is read as {text}");
                }
            }
        }

        #[test]
        fn settling_again_changes_nothing(path in "/[ -~]{0,40}") {
            if let Ok(once) = RequestPath::settle(&path) {
                let again = RequestPath::settle(once.as_str());
                prop_assert_eq!(again.as_ref().map(RequestPath::as_str), Ok(once.as_str()));
            }
        }
    }
}
