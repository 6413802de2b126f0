//! Keytile.
pub mod domain;
