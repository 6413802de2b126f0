//! The types and rules of Keytile: no input or output, no clock of their own, no framework.
//!
//! What is parsed here cannot hold a wrong value afterwards. Nothing in here calls out, reads a file
//! or asks for the time; whoever needs the time is handed a [`time::Clock`].

pub mod access;
pub mod api_keys;
pub mod audit;
pub mod connectors;
pub mod credentials;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod ids;
pub mod naming;
pub mod resources;
pub mod setting;
pub mod telemetry;
pub mod time;
pub mod tokens;
pub mod usage;
pub mod users;
