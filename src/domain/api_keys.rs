//! API keys: the text of a key, and the scopes that limit what it allows.
//!
//! A key is `kt_`, 43 base62 characters for 256 random bits, and 6 base62 characters for the CRC-32 (IEEE
//! 802.3) of everything before them. The checksum adds no security: it lets a secret scanner tell a leaked
//! key from random text, and lets Keytile reject a mistyped key without a database query. The regular
//! expression for scanners is
//!
//! ```text
//! \bkt_[0-9A-Za-z]{49}\b
//! ```

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{access::permission::Permission, time::Timestamp};

/// Identifies an API key in lists and when revoking it. This is not the secret key.
pub type ApiKeyId = Uuid;

pub const PREFIX: &str = "kt_";
/// In characters, which are also bytes.
pub const KEY_LENGTH: usize = PREFIX.len() + BODY_LENGTH + CHECKSUM_LENGTH;

/// 62^43 is the first power of 62 above 2^256.
const BODY_LENGTH: usize = 43;
/// 62^6 is the first power of 62 above 2^32.
const CHECKSUM_LENGTH: usize = 6;
/// How many characters of a key a list shows after the prefix: 24 bits, which leaves 232 to guess.
const HINT_LENGTH: usize = 4;
/// In ASCII order.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub const EXPIRY_DAYS_MAX: u64 = 3_650;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The text of an API key, known to be well formed. It may still be a key that Keytile never issued.
pub struct ApiKeyText(SecretString);

impl ApiKeyText {
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new([0; KEY_LENGTH]);
        text[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        let (payload, checksum) = text.split_at_mut(PREFIX.len() + BODY_LENGTH);
        write_base62(bytes, &mut payload[PREFIX.len()..]);
        checksum.copy_from_slice(&checksum_of(payload));
        // The full capacity up front: a string that grows would leave copies in memory.
        let mut exposed = Zeroizing::new(String::with_capacity(KEY_LENGTH));
        exposed.extend(text.iter().copied().map(char::from));
        Self(exposed.as_str().into())
    }

    /// `None` if its length, characters or checksum are wrong. Nothing is trimmed: a blank at either end
    /// makes it invalid.
    ///
    /// Accepts a body above 2^256, which no issued key has: detecting that costs more than the database query
    /// that then finds nothing.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != KEY_LENGTH || !text.starts_with(PREFIX) {
            return None;
        }
        let (payload, checksum) = text.as_bytes().split_at(PREFIX.len() + BODY_LENGTH);
        if !payload[PREFIX.len()..].iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        // Both sides are public, so the comparison needs no constant time.
        (checksum == checksum_of(payload)).then(|| Self(text.into()))
    }

    /// The secret key, for the response that shows it once and for hashing it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// How lists show the key: its prefix and its first four characters, `kt_abcd…`.
    pub fn hint(&self) -> String {
        format!("{}…", &self.expose()[..PREFIX.len() + HINT_LENGTH])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See resources, but no credential values.
    ResourcesRead,
    /// Get access tokens from the broker.
    TokensIssue,
    /// Send requests through the proxy.
    Proxy,
    /// Add, change and delete credentials.
    CredentialsManage,
    /// Everything an administrator may do.
    Admin,
}

impl Scope {
    /// The most limited first.
    pub const ALL: [Self; 5] = [Self::ResourcesRead, Self::TokensIssue, Self::Proxy, Self::CredentialsManage, Self::Admin];

    /// The value in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResourcesRead => "resources:read",
            Self::TokensIssue => "tokens:issue",
            Self::Proxy => "proxy",
            Self::CredentialsManage => "credentials:manage",
            Self::Admin => "admin",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    /// A sentence for the person who creates a key.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ResourcesRead => "See data sources and data destinations, but no values.",
            Self::TokensIssue => "Get access tokens of data sources and data destinations.",
            Self::Proxy => "Send requests to services through the proxy.",
            Self::CredentialsManage => "Add, change and delete credentials, without ever reading a secret.",
            Self::Admin => "Everything an administrator may do.",
        }
    }

    /// Whether a key with this scope may use a permission that its owner has. [`Self::TokensIssue`] and
    /// [`Self::Proxy`] match no permission of a role.
    pub const fn permits(self, permission: Permission) -> bool {
        match self {
            Self::ResourcesRead => matches!(permission, Permission::Look),
            Self::TokensIssue | Self::Proxy => false,
            Self::CredentialsManage => matches!(permission, Permission::MakeCredentials),
            Self::Admin => true,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes, never empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// `None` if there are none.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let bits = scopes.into_iter().fold(0, |bits, scope| bits | scope.bit());
        (bits != 0).then_some(Self(bits))
    }

    /// Reads scopes separated by blanks; `None` if one of them is unknown, or there is none.
    pub fn parse(words: &str) -> Option<Self> {
        let scopes: Option<Vec<Scope>> = words.split_whitespace().map(Scope::parse).collect();
        Self::new(scopes?)
    }

    /// Separated by blanks, the most limited scope first.
    pub fn to_words(self) -> String {
        self.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The most limited first.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// True if the set contains `scope`, or [`Scope::Admin`], which includes every other.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Whether any of the scopes lets a key use a permission that its owner has.
    pub fn permit(self, permission: Permission) -> bool {
        self.iter().any(|scope| scope.permits(permission))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::as_str)).finish()
    }
}

/// Reads the expiry of a key as a person typed it: `never`, a number of days after `now`, or a date such as
/// `2027-01-31`, meaning the end of that day in UTC. `None` for a key that never expires. The error is a
/// sentence for that person.
pub fn parse_expiry(typed: &str, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let typed = typed.trim();
    if typed == "never" {
        return Ok(None);
    }
    let latest = now.plus(Duration::from_secs(EXPIRY_DAYS_MAX * DAY.as_secs()));
    let too_far = || format!("Choose a date within the next {EXPIRY_DAYS_MAX} days.");
    if !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large for a u64 is above the limit as well.
        let days = typed.parse().unwrap_or(u64::MAX);
        return match days {
            0 => Err("Enter at least one day.".to_owned()),
            1..=EXPIRY_DAYS_MAX => Ok(Some(now.plus(Duration::from_secs(days * DAY.as_secs())))),
            _ => Err(too_far()),
        };
    }
    let Some(end) = end_of_day(typed) else {
        return Err("Enter a number of days, or a date such as 2027-01-31.".to_owned());
    };
    if end <= now {
        return Err("This date has passed. Choose a later one.".to_owned());
    }
    if end > latest { Err(too_far()) } else { Ok(Some(end)) }
}

/// Midnight UTC after a day written as `2027-01-31`.
fn end_of_day(text: &str) -> Option<Timestamp> {
    let date = jiff::civil::Date::strptime("%Y-%m-%d", text).ok()?;
    let end = date.tomorrow().ok()?.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(end.timestamp().as_millisecond()))
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

/// Writes a 256-bit big-endian number in base62, padded with leading zeros.
fn write_base62(number: &[u8; 32], digits: &mut [u8]) {
    let mut rest = Zeroizing::new(*number);
    for digit in digits.iter_mut().rev() {
        // One long division by 62; the remainder is the next digit from the right.
        let mut remainder = 0_u16;
        for byte in rest.iter_mut() {
            let dividend = remainder << 8 | u16::from(*byte);
            // Below 256, because the previous remainder was below 62.
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
        // Computed in Python: int.from_bytes(bytes) in base62, and zlib.crc32 of everything before the
        // checksum.
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
    fn a_set_of_scopes_is_never_empty_and_is_read_as_it_is_written() {
        assert_eq!(Scopes::new([]), None);
        for wrong in ["", " ", "proxy root", "proxy,admin"] {
            assert_eq!(Scopes::parse(wrong), None, "{wrong}");
        }
        for bits in 1..32_u8 {
            let scopes = Scopes(bits);
            assert_eq!(Scopes::parse(&scopes.to_words()), Some(scopes));
            assert_eq!(Scopes::new(scopes.iter()), Some(scopes));
        }
        assert_eq!(Scopes::parse("proxy  resources:read proxy").unwrap().to_words(), "resources:read proxy");
    }

    #[test]
    fn a_scope_gives_no_more_than_its_sentence_says() {
        let permitted = |words: &str| {
            let scopes = Scopes::parse(words).unwrap();
            Permission::ALL.into_iter().filter(|permission| scopes.permit(*permission)).collect::<Vec<_>>()
        };
        assert_eq!(permitted("resources:read"), [Permission::Look]);
        assert_eq!(permitted("tokens:issue proxy"), []);
        assert_eq!(permitted("credentials:manage"), [Permission::MakeCredentials]);
        assert_eq!(permitted("proxy admin"), Permission::ALL);
        let proxy = Scopes::parse("proxy").unwrap();
        assert!(proxy.allow(Scope::Proxy) && !proxy.allow(Scope::TokensIssue) && !proxy.allow(Scope::Admin));
        assert!(Scope::ALL.into_iter().all(|scope| Scopes::parse("admin").unwrap().allow(scope)));
    }

    #[test]
    fn an_end_is_a_number_of_days_or_a_date() {
        // 2026-11-24T16:00:00Z.
        let now = Timestamp::from_millis(1_795_536_000_000);
        let at = |millis| Ok(Some(Timestamp::from_millis(millis)));
        assert_eq!(parse_expiry(" never ", now), Ok(None));
        assert_eq!(parse_expiry("30", now), at(now.as_millis() + 30 * 86_400_000));
        assert_eq!(parse_expiry("2026-11-24", now), at(1_795_564_800_000), "today ends at midnight");
        assert_eq!(parse_expiry("2026-12-31", now), at(1_798_761_600_000));
        for wrong in [
            "",
            "0",
            "3651",
            "99999999999999999999",
            "-3",
            "2026-11-23",
            "2026-02-30",
            "2036-11-30",
            "9999-12-31",
            "31.1.2027",
            "2027-01-31T00:00",
            "soon",
            "date",
        ] {
            let error = parse_expiry(wrong, now).unwrap_err();
            assert!(error.ends_with('.'), "{wrong}: {error}");
        }
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
