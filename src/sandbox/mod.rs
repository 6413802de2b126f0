//! A stand-in TalkDesk over real TLS, for trying Keytile and for tests.
//!
//! It answers for every TalkDesk host name on one loopback port, with a certificate authority of its
//! own: the token endpoint of each account and the API of each region. Nothing in Keytile knows that it
//! is there; connections are pinned to it from outside. All it keeps is in memory, and it must never be
//! given real values: the ones that work are public (see [`hints`]).

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
