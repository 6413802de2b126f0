//! Keytile's own API as the command line uses it: a server that its user names, and an API key.
//!
//! This is no part of what a Keytile does while it serves: `service` and `web` may not name this module, so that a
//! server reaches others only through `upstream` and its guard. No redirect is followed and no proxy of the environment
//! is used: the key goes to the server that was named, and nowhere else.

mod address;
mod fault;
mod forward;
pub mod keytile;
mod problem;

pub use self::keytile::{Answer, Client};
pub use self::{
    address::ServerAddress,
    fault::ClientError,
    forward::{ForwardAnswer, ForwardBody, ForwardRequest},
    problem::{MemberError, Problem},
};
