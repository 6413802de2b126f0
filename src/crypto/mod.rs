//! Keys and ciphers, and nothing else that has them.
//!
//! [`keyring`] holds the key-encryption keys, [`envelope`] seals values under them and opens them
//! again, [`hash`] makes what may be compared but not read, [`password`] hashes what people choose,
//! [`second_factor`] checks one-time codes, [`random`] asks the system for randomness. Nothing in here
//! prints, logs or serialises a key or a plaintext.

pub mod envelope;
pub mod hash;
pub mod keyring;
pub mod password;
pub mod random;
pub mod second_factor;
