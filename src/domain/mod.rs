//! The types and rules of Keytile: no input or output, no clock of their own, no framework.
//!
//! Types are parsed once at the edge and can't hold an invalid value afterwards. Nothing in here calls a
//! service, reads a file or asks for the time; code that needs the time takes a [`time::Clock`].

pub mod access;
pub mod api_keys;
pub mod audit;
pub mod connectors;
pub mod credentials;
pub mod error_causes;
pub mod form_errors;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod ids;
pub mod naming;
pub mod resources;
pub mod sentences;
pub mod setting;
pub mod telemetry;
pub mod time;
pub mod tokens;
pub mod usage;
pub mod users;
