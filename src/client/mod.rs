//! The client of Keytile's own API, for the command line: a server that the user names, and an API key.
//!
//! A running server doesn't use it: `service` and `web` must not name this module, so that a server reaches
//! others only through `upstream` and its egress guard. The client follows no redirects and ignores proxy
//! settings of the environment: the key goes only to the named server.

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
