//! Keys and ciphers. No other module has any.
//!
//! [`keyring`] holds the key-encryption keys, [`envelope`] seals values under them and opens them again,
//! [`hash`] makes one-way values, [`password`] hashes passwords, [`second_factor`] checks one-time codes, and
//! [`random`] asks the system for randomness. Nothing in here prints, logs or serialises a key or a
//! plaintext.

pub mod envelope;
pub mod hash;
pub mod keyring;
pub mod password;
pub mod random;
pub mod second_factor;
