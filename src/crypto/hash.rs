//! One-way values: they can be stored and compared, but not turned back into what they were made from.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::{api_keys::ApiKeyText, audit::AuditChain};

/// The stored form of a session token: its SHA-256. The token has 256 random bits (see
/// [`super::random::url_token`]), so it needs no salt and no slow hash.
pub fn session_hash(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret()).into()
}

/// The CSRF token of forms, derived from the session cookie. Only someone with the cookie can compute it, and
/// the token doesn't reveal the cookie to anyone who reads the page. It needs no database row and works
/// before sign-in.
pub fn form_token(cookie: &str) -> String {
    let digest = Sha256::new().chain_update(b"keytile form token\0").chain_update(cookie).finalize();
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

/// Takes a time that depends only on the lengths.
pub fn equal_in_constant_time(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// The stored form of an API key: the SHA-256 of its text, also used to find it. The key has 256 random bits,
/// so it needs no salt and no slow hash, and the time of a query by the hash reveals nothing about the key.
/// Hashing the text rather than the bytes behind it avoids decoding it for a check.
pub fn api_key_hash(key: &ApiKeyText) -> [u8; 32] {
    Sha256::digest(key.expose()).into()
}

/// Keyed fingerprints (HMAC-SHA-256, RFC 2104), which find equal values without revealing them: someone with
/// only the database can neither read nor guess the values.
pub struct Fingerprint(Zeroizing<[u8; 32]>);

impl Fingerprint {
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// `None` unless there are 32 bytes.
    pub fn from_key_bytes(key: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(key.try_into().ok()?)))
    }

    /// The fingerprint of a list of values. Each value is preceded by its length, so that `ab`, `c` and `a`,
    /// `bc` differ.
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        // A key shorter than a block is padded with zeros (RFC 2104 section 2).
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(&*self.0);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// The chain of the audit trail: HMAC-SHA-256 under a key of the installation. Someone who can write to the
/// database but has no keyring can't forge a valid chain.
pub struct KeyedChain(Fingerprint);

impl KeyedChain {
    /// Uses its own key, derived from the fingerprint key.
    pub fn derived_from(fingerprint: &Fingerprint) -> Self {
        Self(Fingerprint::new(Zeroizing::new(fingerprint.of(&[b"audit trail"]))))
    }
}

impl AuditChain for KeyedChain {
    fn link(&self, before: &[u8; 32], record: &[u8]) -> [u8; 32] {
        self.0.of(&[before, record])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_session_hash_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = session_hash(&"abc".to_owned().into());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn the_hash_of_an_api_key_is_sha_256_of_its_text() {
        let key = ApiKeyText::from_bytes(&[0; 32]);
        let expected: [u8; 32] = Sha256::digest(key.expose()).into();
        assert_eq!(api_key_hash(&key), expected);
        assert_eq!(api_key_hash(&ApiKeyText::parse(key.expose()).unwrap()), expected);
        assert_ne!(api_key_hash(&ApiKeyText::from_bytes(&[1; 32])), expected);
    }

    #[test]
    fn the_fingerprint_is_hmac_sha_256_over_lengths_and_parts() {
        // Made with Python: hmac.new(bytes(range(32)), bytes(7) + b"\x02ab" + bytes(7) + b"\x01c", "sha256")
        let key: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let hex: String =
            Fingerprint::new(Zeroizing::new(key)).of(&[b"ab", b"c"]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "17eca1f3cf4e1f92cd415f54de5121e367cbc209edff96da287c5cd432cf9a46");
    }

    #[test]
    fn a_key_has_32_bytes() {
        assert!(Fingerprint::from_key_bytes(&[1; 31]).is_none());
        assert_eq!(
            Fingerprint::from_key_bytes(&[1; 32]).unwrap().of(&[b"x"]),
            Fingerprint::new(Zeroizing::new([1; 32])).of(&[b"x"])
        );
    }

    #[test]
    fn a_form_token_belongs_to_one_cookie_and_does_not_show_it() {
        let token = form_token("cookie-of-ana");
        assert_eq!(token.len(), 43);
        assert_ne!(token, form_token("cookie-of-ben"));
        assert_ne!(
            token,
            BASE64_URL_SAFE_NO_PAD.encode(session_hash(&"cookie-of-ana".to_owned().into())),
            "it is not what is stored"
        );
        assert!(equal_in_constant_time(&token, &form_token("cookie-of-ana")));
        assert!(!equal_in_constant_time(&token, &token[1..]));
    }

    #[test]
    fn the_chain_depends_on_every_record_before_and_on_the_key() {
        let chain = |key: u8| KeyedChain::derived_from(&Fingerprint::new(Zeroizing::new([key; 32])));
        let first = chain(1).link(&[0; 32], b"one");
        assert_ne!(chain(1).link(&first, b"two"), chain(1).link(&[0; 32], b"two"));
        assert_ne!(first, chain(2).link(&[0; 32], b"one"));
        assert_ne!(first, Fingerprint::new(Zeroizing::new([1; 32])).of(&[&[0; 32], b"one"]), "fingerprints have another key");
    }

    proptest! {
        #[test]
        fn only_equal_lists_under_equal_keys_agree(
            a in proptest::collection::vec(".{0,6}", 0..4), b in proptest::collection::vec(".{0,6}", 0..4), other: [u8; 32],
        ) {
            let bytes = |list: &[String]| list.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
            let of = |key: [u8; 32], list: &[Vec<u8>]| {
                Fingerprint::new(Zeroizing::new(key)).of(&list.iter().map(Vec::as_slice).collect::<Vec<_>>())
            };
            let (first, second) = (bytes(&a), bytes(&b));
            prop_assert_eq!(of([7; 32], &first) == of([7; 32], &second), a == b);
            prop_assert_eq!(of([7; 32], &first) == of(other, &first), other == [7; 32]);
        }
    }
}
