//! The only place that asks the operating system for randomness, and what is made from it: keys, nonces, ids
//! and tokens.

use std::{
    cell::RefCell,
    sync::{Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;

/// How many request ids a thread prepares at a time.
const REQUEST_IDS_AHEAD: usize = 64;

/// Fills `buffer` from the operating system's generator.
///
/// # Panics
///
/// If the system has no randomness: nothing that needs it may continue with less.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
pub fn fill(buffer: &mut [u8]) {
    if let Err(error) = getrandom::fill(buffer) {
        panic!("the operating system gives no randomness: {error}");
    }
}

pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    fill(&mut buffer);
    buffer
}

/// A UUID version 7 (RFC 9562 section 5.7) for the time `now`.
///
/// Ids that one process makes in the same millisecond sort in the order in which they were made, by a 26-bit
/// counter in front of the random bits (section 6.2, method 1).
pub fn new_id(now: Timestamp) -> Uuid {
    static SEQUENCE: IdSequence = IdSequence::new();
    SEQUENCE.next(now)
}

/// A UUID version 4 for a request that comes without an id. It isn't secret, so each thread asks the system
/// for many at a time.
pub fn request_id() -> Uuid {
    thread_local! {
        static AHEAD: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    }
    AHEAD.with_borrow_mut(|ahead| {
        if ahead.is_empty() {
            let mut random = [0; 16 * REQUEST_IDS_AHEAD];
            fill(&mut random);
            ahead.extend(random.as_chunks().0);
        }
        Builder::from_random_bytes(ahead.pop().unwrap_or_else(bytes)).into_uuid()
    })
}

/// A number from 0 up to but not including 1, from 53 random bits.
pub fn fraction() -> f64 {
    let bits = u64::from_le_bytes(bytes()) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a f64 holds exactly")]
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    fraction
}

/// 256 random bits in characters that URLs and cookies accept (base64url, RFC 4648 section 5, without
/// padding).
pub fn url_token() -> SecretString {
    let secret = Zeroizing::new(bytes::<32>());
    BASE64_URL_SAFE_NO_PAD.encode(*secret).into()
}

/// The millisecond of the last id, and its counter.
struct IdSequence(Mutex<(i64, u32)>);

impl IdSequence {
    const fn new() -> Self {
        Self(Mutex::new((i64::MIN, 0)))
    }

    fn next(&self, now: Timestamp) -> Uuid {
        let mut random: [u8; 10] = bytes();
        let millis = now.as_millis();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = if last.0 == millis {
            last.1 + 1
        } else {
            // Starts with 24 random bits of 26, so the counter can't overflow within a millisecond.
            u32::from_be_bytes([0, random[0], random[1], random[2]])
        };
        *last = (millis, counter);
        drop(last);

        // The UUID keeps 12 bits of the first two bytes and 6 of the third. The counter fills these and the
        // fourth byte, most significant bits first, so that ids sort.
        random[0] = (counter >> 22) as u8;
        random[1] = (counter >> 14) as u8;
        random[2] = (counter >> 8) as u8 & 0x3F;
        random[3] = counter as u8;
        Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::collections::BTreeSet;

    #[test]
    fn ids_of_one_millisecond_sort_as_they_were_made() {
        let sequence = IdSequence::new();
        let now = Timestamp::from_millis(1_234_567_890_123);
        let ids: Vec<Uuid> = (0..20_000).map(|_| sequence.next(now)).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let later = sequence.next(Timestamp::from_millis(1_234_567_890_124));
        assert!(ids.iter().all(|id| *id < later));
    }

    #[test]
    fn an_id_is_a_version_7_of_its_time() {
        let id = new_id(Timestamp::from_millis(1_700_000_000_001));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_700_000_000, 1));
    }

    #[test]
    fn a_token_has_256_bits_and_does_not_repeat() {
        let tokens: BTreeSet<String> = (0..1_000).map(|_| url_token().expose_secret().to_owned()).collect();
        assert_eq!(tokens.len(), 1_000);
        for token in tokens {
            assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap().len(), 32);
        }
    }
}
