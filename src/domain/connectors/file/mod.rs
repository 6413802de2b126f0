//! The connector file: reading TOML, and checking that what it says can work.

pub(in crate::domain) mod check;
pub mod read;
mod text;

pub use self::{
    read::read,
    text::{ConnectorFile, ConnectorFileError},
};
