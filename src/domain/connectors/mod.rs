//! A connector: what Keytile knows about one service, read from a TOML file.
//!
//! Connectors are data. Nothing here, or anywhere in `src` outside the sandbox, knows a service by name;
//! anything special about a service is a key of its file. [`mod@file`] reads the format, [`template`] renders
//! texts, [`url_template`] renders addresses, and [`mod@format`] says what a field accepts.

pub mod connector;
pub mod context;
pub mod field;
pub mod file;
pub mod format;
pub mod template;
pub mod url_template;

pub use self::connector::{
    Api, BasicEncoding, CLIENT_ID, CLIENT_SECRET, Choice, ClientAuth, Connector, EndpointOffer, Probe, RequestFormat, TokenEndpoint,
};
pub use self::field::{Field, FieldOption};
pub use super::ids::{ConnectorId, FieldId};
