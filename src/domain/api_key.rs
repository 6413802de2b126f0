//! API keys: Keytile's own keys for programs, as text, and what a key may be allowed.
//!
//! A key is `kt_`, 43 base62 characters for 256 random bits, and 6 base62 characters for the CRC-32
//! (that of IEEE 802.3) of everything before them. The checksum protects nothing: it lets a scanner
//! tell a leaked key from chance text, and lets a mistyped key be refused without a look into the
//! database. The regular expression for scanners is
//!
//! ```text
//! \bkt_[0-9A-Za-z]{49}\b
//! ```

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// What every key begins with.
pub const PREFIX: &str = "kt_";
/// How many characters (and bytes) a key has.
pub const KEY_LENGTH: usize = PREFIX.len() + BODY_LENGTH + CHECKSUM_LENGTH;

/// 62^43 is the first power of 62 above 2^256.
const BODY_LENGTH: usize = 43;
/// 62^6 is the first power of 62 above 2^32.
const CHECKSUM_LENGTH: usize = 6;
/// How many characters of a key a list shows after the prefix: 24 bits, which leaves 232 to guess.
const HINT_LENGTH: usize = 4;
/// The digits of base62, in the order of ASCII.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text of an API key, known to be well formed. That it is a key of this Keytile is another question.
pub struct ApiKeyText(SecretString);

impl ApiKeyText {
    /// The key that these random bytes make.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new([0; KEY_LENGTH]);
        text[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        let (payload, checksum) = text.split_at_mut(PREFIX.len() + BODY_LENGTH);
        write_base62(bytes, &mut payload[PREFIX.len()..]);
        checksum.copy_from_slice(&checksum_of(payload));
        // Room for all of it at once: a string that grows would leave copies behind.
        let mut exposed = Zeroizing::new(String::with_capacity(KEY_LENGTH));
        exposed.extend(text.iter().copied().map(char::from));
        Self(exposed.as_str().into())
    }

    /// Reads a key; `None` if its length, its letters or its checksum are wrong. Nothing is cut off:
    /// a blank at an end makes it wrong.
    ///
    /// Text whose body stands for more than 2^256 is no key that was ever made, but costs more to find
    /// than the look-up that then finds nothing, so that it passes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != KEY_LENGTH || !text.starts_with(PREFIX) {
            return None;
        }
        let (payload, checksum) = text.as_bytes().split_at(PREFIX.len() + BODY_LENGTH);
        if !payload[PREFIX.len()..].iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        // The checksum is made of public text by public rules, so that its comparison may take any time.
        (checksum == checksum_of(payload)).then(|| Self(text.into()))
    }

    /// The key, exposed. For the answer that shows it once, and for hashing it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// How lists show the key: its prefix and its first four characters, `kt_abcd…`.
    pub fn hint(&self) -> String {
        format!("{}…", &self.expose()[..PREFIX.len() + HINT_LENGTH])
    }
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read resources.
    ResourcesRead,
    /// Get access tokens from the broker.
    TokensIssue,
    /// Use the proxy.
    Proxy,
    /// Add, change and delete credentials.
    CredentialsManage,
    /// Everything an administrator may do.
    Admin,
}

impl Scope {
    /// Every scope, the least first.
    pub const ALL: [Self; 5] = [Self::ResourcesRead, Self::TokensIssue, Self::Proxy, Self::CredentialsManage, Self::Admin];

    /// The word that is stored and that the API speaks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResourcesRead => "resources:read",
            Self::TokensIssue => "tokens:issue",
            Self::Proxy => "proxy",
            Self::CredentialsManage => "credentials:manage",
            Self::Admin => "admin",
        }
    }

    /// The scope that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    /// What the scope allows, as a sentence for the person who makes a key.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ResourcesRead => "See data sources and data destinations, but no values.",
            Self::TokensIssue => "Get access tokens of data sources and data destinations.",
            Self::Proxy => "Send requests to services through the proxy.",
            Self::CredentialsManage => "Add, change and delete credentials, without ever reading a secret.",
            Self::Admin => "Everything an administrator may do.",
        }
    }
}

/// The six base62 characters of the CRC-32 of `payload`.
fn checksum_of(payload: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut digits = [0; CHECKSUM_LENGTH];
    let mut rest = crc32fast::hash(payload);
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Writes a number of 256 bits, most significant byte first, in base62, filled up with `0` in front.
fn write_base62(number: &[u8; 32], digits: &mut [u8]) {
    let mut rest = Zeroizing::new(*number);
    for digit in digits.iter_mut().rev() {
        // One long division by 62; what remains is the next digit from the right.
        let mut remainder = 0_u16;
        for byte in rest.iter_mut() {
            let dividend = remainder << 8 | u16::from(*byte);
            // Below 256, because the remainder before it was below 62.
            *byte = (dividend / 62) as u8;
            remainder = dividend % 62;
        }
        *digit = DIGITS[usize::from(remainder)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: [([u8; 32], &str); 3] = [
        ([0; 32], "kt_00000000000000000000000000000000000000000003lOleF"),
        ([0xFF; 32], "kt_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp11rwx1n"),
        ([1; 32], "kt_0El6XFXwsUFD8J2vGxsaboW7rZYnQRBP5d9erwRwd294DvZ8G"),
    ];

    #[test]
    fn keys_are_what_another_implementation_makes() {
        // Made with Python: int.from_bytes(bytes) in base62, and zlib.crc32 of what is before it.
        for (bytes, text) in KNOWN {
            assert_eq!(ApiKeyText::from_bytes(&bytes).expose(), text);
            assert_eq!(ApiKeyText::parse(text).unwrap().expose(), text);
        }
    }

    #[test]
    fn a_hint_shows_four_characters() {
        assert_eq!(ApiKeyText::from_bytes(&[0xFF; 32]).hint(), format!("{}…", &KNOWN[1].1[..7]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = KNOWN[1].1;
        for wrong in
            ["", "kt_", &key[..51], &format!("{key}0"), &format!(" {key}"), &key.replace("kt_", "kt-"), &key.to_uppercase()]
        {
            assert!(ApiKeyText::parse(wrong).is_none(), "{wrong}");
        }
        // The right number of bytes, a letter of two of them, and a right checksum over it.
        let mut payload = format!("kt_é{}", "0".repeat(41));
        payload.push_str(std::str::from_utf8(&checksum_of(payload.as_bytes())).unwrap());
        assert_eq!(payload.len(), KEY_LENGTH);
        assert!(ApiKeyText::parse(&payload).is_none());
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert!(scope.sentence().ends_with('.'));
        }
        for wrong in ["", "Admin", "resources", "resources:read ", "credentials:*"] {
            assert_eq!(Scope::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_key_reads_as_it_was_made_and_one_wrong_character_is_always_seen(
            bytes: [u8; 32], at in 0..KEY_LENGTH, other in "[ -~]",
        ) {
            let key = ApiKeyText::from_bytes(&bytes);
            prop_assert_eq!(key.expose().len(), KEY_LENGTH);
            let read = ApiKeyText::parse(key.expose()).unwrap();
            prop_assert_eq!(read.expose(), key.expose());
            let mut changed = key.expose().to_owned();
            changed.replace_range(at..=at, &other);
            // CRC-32 sees every error within 32 bits that follow each other; a character has 8.
            prop_assert_eq!(ApiKeyText::parse(&changed).is_some(), changed == key.expose());
        }

        #[test]
        fn two_characters_changed_for_each_other_are_seen(bytes: [u8; 32], at in 3..KEY_LENGTH - 1) {
            let key = ApiKeyText::from_bytes(&bytes);
            let mut changed = key.expose().as_bytes().to_vec();
            changed.swap(at, at + 1);
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(ApiKeyText::parse(&changed).is_some(), changed == key.expose());
        }

        #[test]
        fn anything_can_be_tried(text in "\\PC{0,60}", key_like in "kt_[0-9A-Za-z]{49}") {
            prop_assert!(ApiKeyText::parse(&text).is_none());
            if let Some(key) = ApiKeyText::parse(&key_like) {
                prop_assert_eq!(key.expose(), key_like);
            }
        }
    }
}
