//! Finds secrets in bytes that a service has sent, and replaces each with a mark.
//!
//! The bytes are searched as they are and, if they contain escapes of JSON, HTML or URLs, or zero bytes, also with
//! those resolved: servers differ in which characters they escape, and a viewer may resolve the escapes.

use std::ops::Range;

use zeroize::Zeroizing;

/// The mark that replaces a secret.
pub(in crate::upstream) const REDACTED: &str = "[redacted]";
/// If a response was cut, this many bytes of the beginning of a secret count as a secret too.
const BEGINNING_MIN: usize = 8;
/// The longest escape, in bytes.
const ESCAPE_MAX: usize = 12;

/// The secrets to look for.
pub(in crate::upstream) struct Search {
    /// Longest first, unique, none empty.
    forms: Vec<Zeroizing<String>>,
    /// Whether any form begins with these two bytes, so that one pass over the text is enough for all forms.
    begins: Vec<bool>,
}

impl Search {
    /// Looks for each of these texts. Empty ones are ignored.
    pub(in crate::upstream) fn new(mut forms: Vec<Zeroizing<String>>) -> Self {
        forms.retain(|form| !form.is_empty());
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let mut begins = vec![false; 1 << 16];
        for form in &forms {
            match *form.as_bytes() {
                [first, second, ..] => begins[pair(first, second)] = true,
                [first] => begins[pair(first, 0)..=pair(first, u8::MAX)].fill(true),
                [] => {}
            }
        }
        Self { forms, begins }
    }

    /// The bytes with a mark in place of each secret, or `None` if they contain none. `cut` says that there was
    /// more: then a possible beginning of a secret at the end is removed too.
    pub(in crate::upstream) fn redact(&self, bytes: &[u8], cut: bool) -> Option<Vec<u8>> {
        let mut found = Vec::new();
        self.look(bytes, cut, |range| found.push(range));
        for (marker, resolve) in ESCAPES {
            if bytes.contains(&marker) {
                let view = View::of(bytes, marker, resolve, cut);
                self.look(&view.bytes, cut, |range| found.push(view.starts[range.start]..view.starts[range.end]));
            }
        }
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|range| range.start);
        let mut redacted = Vec::with_capacity(bytes.len());
        let mut kept_to = 0;
        for range in found {
            // A match that touches the previous one is part of it.
            if kept_to == 0 || range.start > kept_to {
                redacted.extend_from_slice(&bytes[kept_to..range.start]);
                redacted.extend_from_slice(REDACTED.as_bytes());
            }
            kept_to = kept_to.max(range.end);
        }
        redacted.extend_from_slice(&bytes[kept_to..]);
        Some(redacted)
    }

    fn look(&self, bytes: &[u8], cut: bool, mut found: impl FnMut(Range<usize>)) {
        for at in 0..bytes.len() {
            let likely = bytes.get(at + 1).is_none_or(|second| self.begins[pair(bytes[at], *second)]);
            if likely && let Some(form) = self.forms.iter().find(|form| bytes[at..].starts_with(form.as_bytes())) {
                found(at..at + form.len());
            }
        }
        if cut {
            for form in &self.forms {
                let beginning = (BEGINNING_MIN..form.len()).rev().find(|length| bytes.ends_with(&form.as_bytes()[..*length]));
                if let Some(length) = beginning {
                    found(bytes.len() - length..bytes.len());
                }
            }
        }
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// Bytes with their escapes resolved.
struct View {
    bytes: Zeroizing<Vec<u8>>,
    /// For each byte the offset in the source that it comes from; the last entry is the length of the source.
    starts: Vec<usize>,
}

impl View {
    fn of(source: &[u8], marker: u8, resolve: Resolve, cut: bool) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(source.len()));
        let mut starts = Vec::with_capacity(source.len() + 1);
        let mut at = 0;
        while at < source.len() {
            let length = if source[at] == marker { resolve(&source[at..], &mut bytes) } else { 0 };
            if length == 0 {
                if cut && source[at] == marker && source.len() - at < ESCAPE_MAX {
                    // An incomplete escape ends the view.
                    break;
                }
                bytes.push(source[at]);
            }
            starts.resize(bytes.len(), at);
            at += length.max(1);
        }
        starts.push(source.len());
        Self { bytes, starts }
    }
}

/// Resolves the escape at the beginning of the bytes and appends the result, which is never longer. Returns the
/// length of the escape, or zero if there is none.
type Resolve = fn(&[u8], &mut Vec<u8>) -> usize;

/// The first byte of each kind of escape. Zero bytes, which are every other byte of ASCII text in UTF-16, resolve
/// to nothing.
const ESCAPES: [(u8, Resolve); 4] = [(b'\\', json_escape), (b'&', entity), (b'%', percent_escape), (0, |_, _| 1)];

/// RFC 8259 section 7.
fn json_escape(bytes: &[u8], into: &mut Vec<u8>) -> usize {
    let simple = match bytes.get(1) {
        Some(b'b') => 0x08,
        Some(b't') => b'\t',
        Some(b'n') => b'\n',
        Some(b'f') => 0x0c,
        Some(b'r') => b'\r',
        Some(same @ (b'"' | b'\\' | b'/')) => *same,
        Some(b'u') => {
            let unit = |at: usize| (bytes.get(at..at + 2)? == br"\u").then(|| hexadecimal(bytes.get(at + 2..at + 6)?)).flatten();
            let Some(first) = unit(0) else { return 0 };
            if let Some(character) = char::from_u32(first) {
                return push(character, 6, into);
            }
            // A surrogate; the other half of the pair follows.
            let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second));
            let whole = second.and_then(|second| char::from_u32(0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff)));
            return whole.map_or(0, |character| push(character, 12, into));
        }
        _ => return 0,
    };
    into.push(simple);
    2
}

/// Character references of HTML: numeric ones, and the named ones that escaping produces.
fn entity(bytes: &[u8], into: &mut Vec<u8>) -> usize {
    let Some(end) = bytes.iter().take(ESCAPE_MAX).position(|byte| *byte == b';') else { return 0 };
    let character = match &bytes[1..end] {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        b"nbsp" => Some('\u{a0}'),
        [b'#', b'x' | b'X', digits @ ..] => hexadecimal(digits).and_then(char::from_u32),
        [b'#', digits @ ..] => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).and_then(char::from_u32),
        _ => None,
    };
    character.map_or(0, |character| push(character, end + 1, into))
}

/// RFC 3986 section 2.1.
fn percent_escape(bytes: &[u8], into: &mut Vec<u8>) -> usize {
    let byte = bytes.get(1..3).and_then(hexadecimal).and_then(|value| u8::try_from(value).ok());
    byte.map_or(0, |byte| {
        into.push(byte);
        3
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

fn push(character: char, length: usize, into: &mut Vec<u8>) -> usize {
    into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(forms: &[&str]) -> Search {
        Search::new(forms.iter().map(|form| Zeroizing::new((*form).to_owned())).collect())
    }

    fn redact(forms: &[&str], text: &str, cut: bool) -> Option<String> {
        search(forms).redact(text.as_bytes(), cut).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn secrets_give_way_to_a_mark_wherever_they_stand() {
        let found = |text| redact(&["s3cret", "s3cret+more", "t"], text, false);
        assert_eq!(found("nohing here"), None);
        assert_eq!(found(""), None);
        assert_eq!(found("s3cret"), Some("[redacted]".into()));
        assert_eq!(found("<s3cret>,s3cret+more!"), Some("<[redacted]>,[redacted]!".into()));
        assert_eq!(found("s3crets3cret"), Some("[redacted]".into()));
        assert_eq!(found("a t"), Some("a [redacted]".into()));
        // Two overlapping secrets are both removed.
        assert_eq!(redact(&["abcd", "cdef"], "-abcdef-", false), Some("-[redacted]-".into()));
        assert_eq!(search(&["s3cret"]).redact(b"\xff\xfes3cret\xff", false).unwrap(), b"\xff\xfe[redacted]\xff");
    }

    #[test]
    fn escapes_hide_nothing() {
        let found = |text: &str| redact(&["s3 c/r\"é😀&"], text, false);
        let mark = Some("<[redacted]>".to_owned());
        for escaped in [
            r#"s3 c\/r\"\u00E9\ud83d\ude00&"#,
            r"\u0073\u0033\u0020\u0063\u002f\u0072\u0022\u00e9\uD83D\uDE00\u0026",
            "s3&#32;c/r&quot;é&#x1F600;&amp;",
            "s3&nbsp;c",
            "s3%20c/r%22%C3%a9%f0%9f%98%80&",
        ] {
            let expected = if escaped.contains("nbsp") { None } else { mark.clone() };
            assert_eq!(found(&format!("<{escaped}>")), expected, "{escaped}");
        }
        let wide: Vec<u8> = "-token-1-".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(search(&["token-1"]).redact(&wide, false).unwrap(), b"-\0[redacted]-\0");
        for odd in [r"\", r"\u", r"\ud83d", r"\ud83d\u0041", r"\x", "&", "&;", "&#;", "&#x;", "&#xd800;", "%", "%4", "%+1"] {
            assert_eq!(found(odd), None, "{odd}");
        }
    }

    #[test]
    fn where_an_answer_is_cut_the_beginning_of_a_secret_goes_too() {
        let forms = ["token-1234567890", "0123é567+89"];
        assert_eq!(redact(&forms, "x token-12", true), Some("x [redacted]".into()));
        assert_eq!(redact(&forms, "x token-123456789", true), Some("x [redacted]".into()));
        assert_eq!(redact(&forms, "x token-12", false), None);
        assert_eq!(redact(&forms, "x token-1", true), None);
        assert_eq!(redact(&forms, "x token-12 ", true), None);
        assert_eq!(redact(&forms, r"x 0123\u00e956", true), Some("x [redacted]".into()));
        assert_eq!(redact(&forms, r"x 0123\u00e9567\u00", true), Some("x [redacted]".into()));
        assert_eq!(
            search(&["0123456é"]).redact("x 0123456é".as_bytes().strip_suffix(b"\xa9").unwrap(), true).unwrap(),
            b"x [redacted]"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_left_and_nothing_else_is_lost(
            secrets in proptest::collection::vec("[ab&%\\\\;é]{1,6}", 1..4),
            text in "[ab&%\\\\;é]{0,60}",
            cut: bool,
        ) {
            let forms: Vec<&str> = secrets.iter().map(String::as_str).collect();
            match redact(&forms, &text, cut) {
                None => prop_assert!(secrets.iter().all(|secret| !text.contains(secret))),
                Some(redacted) => {
                    let mut rest = text.as_str();
                    for kept in redacted.split(REDACTED).filter(|kept| !kept.is_empty()) {
                        prop_assert!(secrets.iter().all(|secret| !kept.contains(secret)));
                        let at = rest.find(kept);
                        prop_assert!(at.is_some());
                        rest = &rest[at.unwrap_or_default() + kept.len()..];
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, form in "\\PC{1,4}", cut: bool) {
            let _ = search(&[&form]).redact(&bytes, cut);
        }
    }
}
