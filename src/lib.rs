//! Keytile.
pub mod crypto;
pub mod domain;
pub mod sandbox;
pub mod store;
pub mod upstream;
