//! Single sign-on: people sign in at an OpenID Connect provider, and have or get an account in Keytile.
//!
//! The provider says who a person is; Keytile decides whether they may sign in, and with which role. If anything
//! goes wrong, nobody is signed in. No second factor is asked for, because that is the provider's job.

pub(in crate::service) mod account;
pub mod flow;
pub(in crate::service) mod pending;
pub(in crate::service) mod rate_limit;

pub use self::account::SignInRefusal;
pub use self::flow::{BeginOutcome, FinishOutcome, PENDING, SingleSignOn};
// What the callback page is sent, and what it shows.
pub use crate::upstream::{CallbackAnswer, SingleSignOnError};
