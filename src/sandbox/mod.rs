//! A stand-in for TalkDesk over real TLS, for trying Keytile and for tests.
//!
//! It responds for every TalkDesk host name on one loopback port, with its own certificate authority: the
//! token endpoint of each account and the API of each region. Nothing in Keytile knows about it; connections
//! are pinned to it from outside. It keeps everything in memory, and must never be given real values: the
//! ones that work are public (see [`hints`]).

mod accounts;
mod api;
mod api_error;
mod certificate;
mod contacts;
mod hosts;
mod identity;
mod people;
mod server;
pub mod stand_in;
mod state;
mod token;

pub use self::accounts::{Hints, hints};
pub use self::stand_in::Sandbox;
