//! The encodings of a value: as a request carries it, and as a service that repeats the request could write it.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const PERCENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The base64 of fewer bytes is too likely to be part of something else.
const INSIDE_MIN: usize = 8;

/// `id:secret` for a Basic header without percent-encoding.
pub(in crate::upstream) fn raw_pair(id: &str, secret: &str) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::with_capacity(id.len() + secret.len() + 1));
    pair.push_str(id);
    pair.push(':');
    pair.push_str(secret);
    pair
}

/// `id:secret`, each form-encoded first, as RFC 6749 section 2.3.1 requires.
pub(in crate::upstream) fn form_pair(id: &str, secret: &str) -> Zeroizing<String> {
    raw_pair(&form_encoded(id), &form_encoded(secret))
}

fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * 3));
    encoded.extend(form_urlencoded::byte_serialize(text.as_bytes()));
    encoded
}

/// A secret in every form in which it could come back. Empty for an empty secret.
pub(in crate::upstream) fn forms_of(secret: &str) -> Vec<Zeroizing<String>> {
    if secret.is_empty() {
        return Vec::new();
    }
    let percent = Zeroizing::new(utf8_percent_encode(secret, PERCENT).to_string());
    let form = form_encoded(secret);
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let json = Zeroizing::new(Value::from(secret).to_string());
    let mut forms = vec![
        secret.to_owned(),
        lower_hex(&percent),
        lower_hex(&form),
        html,
        json[1..json.len() - 1].to_owned(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
    ];
    for engine in [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret));
    }
    if secret.len() >= INSIDE_MIN {
        forms.extend((0..3).flat_map(|offset| insides(secret, offset)));
    }
    let mut forms: Vec<_> = forms.into_iter().map(Zeroizing::new).collect();
    forms.extend([percent, form]);
    forms
}

/// The part of the base64, in both alphabets, that is the same for every text with the secret after `offset` other
/// bytes (modulo 3). The characters at both ends depend on neighbouring bytes and are left out.
fn insides(secret: &str, offset: usize) -> [String; 2] {
    let mut bytes = Zeroizing::new(vec![0; offset]);
    bytes.extend_from_slice(secret.as_bytes());
    let (first, behind) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
    [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD].map(|engine| Zeroizing::new(engine.encode(&*bytes))[first..behind].to_owned())
}

/// Percent-encoding with lower-case hexadecimal digits, which some servers write.
fn lower_hex(encoded: &str) -> String {
    let mut digits = 0;
    let lower = encoded.chars().map(|c| {
        if c == '%' {
            digits = 2;
            return c;
        }
        let is_digit = digits > 0;
        digits = if is_digit { digits - 1 } else { 0 };
        if is_digit { c.to_ascii_lowercase() } else { c }
    });
    lower.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inside_of_base64_is_found_at_every_offset() {
        let forms = forms_of("s3cret+/&é\u{3ff}");
        for engine in [BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD] {
            for before in ["", "a", "ab", "abc", "abcd"] {
                let encoded = engine.encode(format!("{before}s3cret+/&é\u{3ff}, and more"));
                assert!(forms.iter().any(|form| encoded.contains(form.as_str())), "{before} {encoded}");
            }
        }
    }

    #[test]
    fn a_secret_is_known_in_common_encodings() {
        let forms = forms_of("a b/\"&é");
        for form in ["a b/\"&é", "a+b%2F%22%26%C3%A9", "a%20b%2f%22%26%c3%a9", "a b/\\\"&é", "a b/&quot;&amp;é", "6120622f2226c3a9"]
        {
            assert!(forms.iter().any(|known| known.as_str() == form), "{form}");
        }
        assert!(forms_of("").is_empty());
    }
}
