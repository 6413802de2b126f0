//! The connector file: reading its TOML, and checking that it describes a connector that can work.

pub(in crate::domain) mod check;
pub mod read;
mod text;

pub use self::{
    read::read,
    text::{ConnectorFile, ConnectorFileError},
};
