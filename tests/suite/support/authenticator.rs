//! An authenticator app: it is told a key once and shows codes from then on.

use keytile::domain::time::Clock;

use super::clock::TestClock;

/// The letters of Base32 (RFC 4648 section 6).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// An authenticator app.
pub(crate) struct App(pub(crate) [u8; 20]);

impl App {
    /// Is told the key as a person types it, in groups.
    pub(crate) fn with_key(key: &str) -> Self {
        let letters: Vec<u64> = key
            .bytes()
            .filter(|byte| *byte != b' ')
            .map(|letter| LETTERS.iter().position(|known| *known == letter).unwrap() as u64)
            .collect();
        let groups = letters.chunks_exact(8).map(|group| group.iter().fold(0, |bits, letter| bits << 5 | letter));
        let bytes: Vec<u8> = groups.flat_map(|bits: u64| bits.to_be_bytes()[3..].to_vec()).collect();
        Self(bytes.try_into().unwrap())
    }

    /// The code that it shows now.
    pub(crate) fn code(&self, clock: &TestClock) -> String {
        let second = u64::try_from(clock.now().as_millis() / 1_000).unwrap();
        totp_rs::Builder::new().with_secret(self.0).build_noncompliant().generate(second).to_string()
    }
}
