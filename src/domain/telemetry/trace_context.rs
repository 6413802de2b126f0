//! The trace that a request belongs to, as programs pass it on (W3C Trace Context, level 1).

/// All zeros is invalid (section 3.2.2.3).
pub type TraceId = [u8; 16];
/// All zeros is invalid (section 3.2.2.4).
pub type SpanId = [u8; 8];

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The flag by which the caller says that it may have recorded its spans.
const SAMPLED: u8 = 1;

/// A position in a trace: work done from here belongs below this span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace: TraceId,
    /// The caller's span.
    pub span: SpanId,
    /// Whether spans of this trace are recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` header. `None` if it's malformed; the receiver then starts a new trace (section
    /// 3.2.2).
    pub fn parse(header: &str) -> Option<Self> {
        let whole = header.as_bytes();
        let [version] = hex(whole.get(..2)?)?;
        // A later version may append more, after another dash.
        let ends_well = match version {
            0xFF => false,
            0 => whole.len() == LENGTH,
            _ => whole.get(LENGTH).is_none_or(|byte| *byte == b'-'),
        };
        let dashes = [2, 35, 52].iter().all(|at| whole.get(*at) == Some(&b'-'));
        if !ends_well || !dashes {
            return None;
        }
        let (trace, span) = (hex::<16>(whole.get(3..35)?)?, hex::<8>(whole.get(36..52)?)?);
        let [flags] = hex(whole.get(53..LENGTH)?)?;
        // All zeros means that there is no id.
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, sampled: flags & SAMPLED == SAMPLED })
    }

    /// In version 00.
    pub fn to_header(self) -> String {
        let mut text = String::with_capacity(LENGTH);
        text.push_str("00-");
        push_hex(&mut text, &self.trace);
        text.push('-');
        push_hex(&mut text, &self.span);
        text.push_str(if self.sampled { "-01" } else { "-00" });
        text
    }
}

/// Only lower-case digits, as the header requires.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_the_standard_shows_is_read_and_written() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!((context.trace[0], context.span[7], context.sampled), (0x4b, 0xb7, true));
        assert_eq!(context.to_header(), GOOD);
        let unsampled = GOOD.replace("-01", "-00");
        assert_eq!(TraceContext::parse(&unsampled).unwrap().to_header(), unsampled);
        // Only one flag is known; the others aren't passed on.
        assert_eq!(TraceContext::parse(&GOOD.replace("-01", "-ff")).unwrap().to_header(), GOOD);
        for later in [GOOD.replacen("00", "01", 1), GOOD.replacen("00", "cc", 1) + "-what-comes-then"] {
            assert_eq!(TraceContext::parse(&later).unwrap().to_header(), GOOD);
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        let zeros = |from: usize, to: usize| format!("{}{}{}", &GOOD[..from], "0".repeat(to - from), &GOOD[to..]);
        for wrong in [
            String::new(),
            "00".into(),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD.replace('-', "_"),
            format!("{GOOD}-more"),
            format!("{}-x", GOOD.replacen("00", "01", 1)).replacen("-x", "x", 1),
            GOOD[..54].into(),
            GOOD.replace('4', "g"),
            format!(" {GOOD}"),
            zeros(3, 35),
            zeros(36, 52),
            "é".repeat(30),
        ] {
            assert_eq!(TraceContext::parse(&wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_context_comes_back(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled: bool) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let context = TraceContext { trace, span, sampled };
            prop_assert_eq!(TraceContext::parse(&context.to_header()), Some(context));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,70}") {
            let _ = TraceContext::parse(&text);
        }
    }
}
