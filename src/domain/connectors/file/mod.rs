//! The connector file: reading TOML, and checking that what it says can work.

pub(in crate::domain) mod check;
pub mod read;

pub use self::read::{ConnectorFile, ConnectorFileError, read};
