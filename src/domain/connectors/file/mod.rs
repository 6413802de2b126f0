//! The connector file: reading its TOML, and checking that it describes a connector that can work.

pub(in crate::domain) mod check;
pub mod read;

pub use self::read::{ConnectorFile, ConnectorFileError, read};
