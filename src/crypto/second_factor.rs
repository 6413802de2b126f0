//! The second factor: codes from an authenticator app (TOTP, RFC 6238), and recovery codes for when the app
//! is lost.
//!
//! A code is six digits of HMAC-SHA-1 over the number of 30-second steps since 1970, which every app
//! supports. One step to either side is accepted, and no step twice.

use std::array;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qrcode::{EcLevel, QrCode, render::svg};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::random;
use crate::domain::time::Timestamp;

/// In bytes: 160 bits, as RFC 4226 section 4 recommends.
pub const SECRET_LENGTH: usize = 20;
/// Recovery codes per user.
pub const RECOVERY_CODES: usize = 10;

/// The name that the app shows for the account's service.
const ISSUER: &str = "Keytile";
/// How long a code is shown (RFC 6238 section 5.2).
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
/// All except the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The base32 alphabet of RFC 4648 section 6, which apps read.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Crockford's base32 alphabet in lower case, without letters that look alike. `i`, `l` and `o` are read as
/// the digits they look like; `u` is left out so that no words appear.
const RECOVERY_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The secret that an authenticator app and Keytile share. It has no `Debug`.
pub struct TotpSecret(Zeroizing<[u8; SECRET_LENGTH]>);

impl TotpSecret {
    pub fn generate() -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        random::fill(&mut *secret);
        Self(secret)
    }

    /// Reads what [`Self::expose`] returned; `None` if the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// Exposed for sealing.
    pub fn expose(&self) -> &[u8; SECRET_LENGTH] {
        &self.0
    }

    /// For typing into an app that can't scan: 32 characters of base32.
    pub fn base32(&self) -> SecretString {
        let mut text = Zeroizing::new(String::with_capacity(SECRET_LENGTH * 8 / 5));
        write_base32(&*self.0, BASE32, &mut text);
        text.as_str().into()
    }

    /// The `otpauth:` address that an app scans. Contains the secret.
    pub fn uri(&self, email: &str) -> SecretString {
        let email = utf8_percent_encode(email, RESERVED);
        let base32 = self.base32();
        let mut uri = Zeroizing::new(String::with_capacity(1_024));
        for part in ["otpauth://totp/", ISSUER, ":"].into_iter().chain(email).chain(["?secret=", base32.expose_secret()]) {
            uri.push_str(part);
        }
        uri.push_str("&issuer=Keytile&algorithm=SHA1&digits=6&period=30");
        uri.as_str().into()
    }

    /// [`Self::uri`] as a QR code: an `svg` element for a page, with its own white background for dark pages,
    /// and without styles or scripts. Contains the secret. `None` if the email address is too long for a QR
    /// code, which no valid one is.
    pub fn qr_svg(&self, email: &str) -> Option<SecretString> {
        let code = QrCode::with_error_correction_level(self.uri(email).expose_secret(), EcLevel::M).ok()?;
        let colours = (svg::Color("#000000"), svg::Color("#ffffff"));
        let document = code.render().dark_color(colours.0).light_color(colours.1).module_dimensions(4, 4).build();
        let document = Zeroizing::new(document);
        // An element inside a page has no XML declaration. The label describes it to screen readers.
        let (_, element) = document.split_once("<svg ")?;
        let named = Zeroizing::new(["<svg role=\"img\" aria-label=\"QR code for an authenticator app\" ", element].concat());
        Some(named.as_str().into())
    }

    /// The step of a code that is valid now, or one step earlier or later. Ignores blanks. `None` if the code
    /// is wrong, or if its step isn't after `last_step`, the last accepted one: a code that was seen or
    /// recorded isn't valid a second time (RFC 6238 section 5.2).
    ///
    /// Always computes and compares all three codes, so that the time reveals nothing.
    pub fn check(&self, code: &str, now: Timestamp, last_step: Option<i64>) -> Option<i64> {
        let code = six_digits(code)?;
        let present = now.as_millis().div_euclid(1_000 * STEP_SECONDS);
        let totp = self.totp();
        let (mut found, mut step_found) = (Choice::from(0), 0_i64);
        for step in present - 1..=present + 1 {
            // There are no steps before 1970.
            let Ok(second) = u64::try_from(step.saturating_mul(STEP_SECONDS)) else { continue };
            let expected = Zeroizing::new(totp.generate(second).to_string());
            // Which steps were used isn't secret; whether the code is right is.
            let fresh = Choice::from(u8::from(last_step.is_none_or(|last| step > last)));
            let hit = expected.as_bytes().ct_eq(&code) & fresh;
            step_found.conditional_assign(&step, hit);
            found |= hit;
        }
        bool::from(found).then_some(step_found)
    }

    fn totp(&self) -> Totp {
        // The builder's defaults are those of RFC 6238: SHA-1, 6 digits, 30 seconds. It only checks the
        // length of the secret and the number of digits, which are constants here.
        Builder::new().with_secret(*self.0).with_step_duration(STEP_SECONDS.unsigned_abs()).build_noncompliant()
    }
}

/// Recovery codes of 120 random bits each, in the form that is shown once: `k7f3-9xq2-0mza-h5te-2w8b-c4rn`.
pub fn recovery_codes() -> [SecretString; RECOVERY_CODES] {
    array::from_fn(|_| {
        let mut letters = Zeroizing::new(String::with_capacity(24));
        write_base32(&*Zeroizing::new(random::bytes::<15>()), RECOVERY_ALPHABET, &mut letters);
        let mut code = Zeroizing::new(String::with_capacity(29));
        for (index, letter) in letters.chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                code.push('-');
            }
            code.push(letter);
        }
        code.as_str().into()
    })
}

/// The stored form of a recovery code: the SHA-256 of its normal form, which ignores case, blanks and dashes
/// and treats look-alikes as the same. With 120 random bits it needs no salt and no slow hash.
pub fn recovery_hash(code: &SecretString) -> [u8; 32] {
    let mut hash = Sha256::new();
    for letter in code.expose_secret().chars().filter(|c| !c.is_whitespace() && !is_dash(*c)) {
        let normal = match letter.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        hash.update(normal.encode_utf8(&mut [0; 4]));
    }
    hash.finalize().into()
}

/// The six digits of a typed code; `None` if it has anything but digits and blanks, or another number of
/// digits.
fn six_digits(code: &str) -> Option<[u8; DIGITS]> {
    let mut digits = [0; DIGITS];
    let mut length = 0;
    for letter in code.chars().filter(|c| !c.is_whitespace()) {
        let digit = u8::try_from(letter).ok().filter(u8::is_ascii_digit)?;
        *digits.get_mut(length)? = digit;
        length += 1;
    }
    (length == DIGITS).then_some(digits)
}

/// Writes every five bytes as eight letters of the alphabet.
fn write_base32(bytes: &[u8], alphabet: &[u8; 32], text: &mut String) {
    for group in bytes.chunks_exact(5) {
        let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        text.extend((0..8).rev().map(|place| char::from(alphabet[(bits >> (5 * place)) as usize & 31])));
    }
}

/// The dash of the keyboard, and those that word processors replace it with.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The secret of RFC 6238 appendix B.
    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_000 * seconds)
    }

    /// RFC 6238 appendix B, the rows for SHA-1. They have eight digits; a six-digit code is the last six.
    const VECTORS: [(i64, &str); 6] = [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ];

    #[test]
    fn codes_are_those_of_the_standard() {
        for (time, code) in VECTORS {
            assert_eq!(secret().check(&code[2..], second(time), None), Some(time / 30), "{time}");
            assert_eq!(secret().check(code, second(time), None), None, "{time}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_before_and_after_its_own_and_no_longer() {
        // The step of 1234567890 begins in exactly that second.
        let begin = 1_234_567_890;
        assert_eq!(begin % 30, 0);
        for (time, good) in [(-31, false), (-30, true), (-1, true), (0, true), (29, true), (59, true), (60, false)] {
            let found = secret().check("005924", second(begin + time), None);
            assert_eq!(found, good.then_some(begin / 30), "{time}");
        }
    }

    #[test]
    fn no_code_is_good_twice() {
        let (now, step) = (second(1_111_111_111), 1_111_111_111 / 30);
        assert_eq!(secret().check("050471", now, Some(step - 1)), Some(step));
        assert_eq!(secret().check("050471", now, Some(step)), None);
        // The code of the previous step is still in the window, but a later one was used.
        assert_eq!(secret().check("081804", now, None), Some(step - 1));
        assert_eq!(secret().check("081804", now, Some(step)), None);
    }

    #[test]
    fn blanks_are_ignored_and_nothing_else() {
        let now = second(59);
        for typed in ["287 082", " 287082 ", "2 8 7 0 8 2", "287\u{A0}082"] {
            assert_eq!(secret().check(typed, now, None), Some(1), "{typed}");
        }
        for typed in ["", "28708", "2870820", "287-082", "+87082", "28708a", "２８７０８２", "287082\0", &"2".repeat(1_000_000)]
        {
            assert_eq!(secret().check(typed, now, None), None);
        }
    }

    #[test]
    fn odd_clocks_are_survived() {
        for millis in [i64::MIN, -1, 0, 29_999, i64::MAX] {
            assert_eq!(secret().check("999999", Timestamp::from_millis(millis), None), None);
        }
    }

    #[test]
    fn a_secret_is_shown_as_base32_and_in_an_address() {
        // RFC 4648 section 10: "fooba" is MZXW6YTB.
        let foobar = TotpSecret::from_bytes(b"foobafoobafoobafooba").unwrap();
        assert_eq!(foobar.base32().expose_secret(), "MZXW6YTB".repeat(4));
        assert_eq!(
            secret().uri("o'neil+k:1@exämple.com").expose_secret(),
            "otpauth://totp/Keytile:o%27neil%2Bk%3A1%40ex%C3%A4mple.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Keytile&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn secrets_differ_and_keep_their_bytes() {
        let (one, other) = (TotpSecret::generate(), TotpSecret::generate());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(TotpSecret::from_bytes(one.expose()).unwrap().expose(), one.expose());
        assert!(TotpSecret::from_bytes(&[0; 19]).is_none() && TotpSecret::from_bytes(&[0; 21]).is_none());
    }

    #[test]
    fn the_qr_code_is_one_element_that_a_strict_policy_takes() {
        let svg = secret().qr_svg("\"><script>alert(1)</script>@example.com").unwrap();
        let svg = svg.expose_secret();
        assert!(svg.starts_with("<svg role=") && svg.ends_with("</svg>"), "{svg}");
        assert!(svg.contains("fill=\"#ffffff\"") && svg.contains("fill=\"#000000\""));
        for forbidden in ["script", "style", "<?xml", "href", "otpauth", "alert", "GEZDGNBV"] {
            assert!(!svg.contains(forbidden), "{forbidden}");
        }
        assert_ne!(svg, secret().qr_svg("b@example.com").unwrap().expose_secret());
        assert!(secret().qr_svg(&"é".repeat(254)).is_some(), "the longest e-mail fits");
        assert!(secret().qr_svg(&"x".repeat(4_000)).is_none());
    }

    #[test]
    fn recovery_codes_are_ten_different_ones_in_groups() {
        let codes = recovery_codes();
        assert_eq!(codes.iter().map(recovery_hash).collect::<BTreeSet<_>>().len(), RECOVERY_CODES);
        for code in &codes {
            let groups: Vec<&str> = code.expose_secret().split('-').collect();
            assert!(groups.len() == 6 && groups.iter().all(|group| group.len() == 4), "{groups:?}");
            assert!(groups.concat().bytes().all(|letter| RECOVERY_ALPHABET.contains(&letter)), "{groups:?}");
        }
    }

    #[test]
    fn a_recovery_code_may_be_typed_in_other_ways() {
        let of = |text: &str| recovery_hash(&text.into());
        let hash = of("k1f0-9xq2-0mza-h5te");
        for same in
            ["K1F0-9XQ2-0MZA-H5TE", "k1f09xq20mzah5te", " k1f0 9xq2 – 0mza‐h5te ", "kLfo-9xq2-Omza-h5te", "kif0-9xq2-0mza-h5te"]
        {
            assert_eq!(of(same), hash, "{same}");
        }
        for other in ["", "k1f0-9xq2-0mza-h5t", "k1f0-9xq2-0mza-h5tf", "k1f0-9xq2-0mza-h5te0"] {
            assert_ne!(of(other), hash, "{other}");
        }
        let sha_256: [u8; 32] = Sha256::digest("k1f09xq20mzah5te").into();
        assert_eq!(hash, sha_256);
    }

    proptest! {
        #[test]
        fn anything_can_be_tried(code in "\\PC{0,12}", millis: i64, last: Option<i64>) {
            if let Some(step) = secret().check(&code, Timestamp::from_millis(millis), last) {
                prop_assert!((millis.div_euclid(30_000) - step).abs() <= 1);
            }
        }

        #[test]
        fn only_steps_after_the_last_are_accepted(step in 1_i64..4_000_000_000, off in -3_i64..=3, last in -3_i64..=3) {
            let code = secret().totp().generate(u64::try_from(30 * step).unwrap()).to_string();
            let found = secret().check(&code, second(30 * (step + off)), Some(step + last));
            // Another step of the window may have the same code by chance; it must be unused too.
            prop_assert!(found.is_none_or(|found| found > step + last));
            if off.abs() <= 1 && last < 0 {
                prop_assert!(found.is_some());
            }
        }
    }
}
