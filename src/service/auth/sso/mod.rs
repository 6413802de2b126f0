//! Single sign-on: people come from a provider of OpenID Connect, and have or get an account here.
//!
//! [`Service::begin_single_sign_on`] sends a browser there, [`Service::finish_single_sign_on`] takes it back. Who
//! somebody is says the provider; whether they come in and with which role, `account` decides. Whatever goes
//! wrong, nobody is signed in. A second factor is not asked for: that is the provider's part.

pub(in crate::service) mod account;
pub mod flow;
pub(in crate::service) mod pending;
pub(in crate::service) mod rate_limit;

pub use self::account::SignInRefusal;
pub use self::flow::{BeginOutcome, FinishOutcome, PENDING, SingleSignOn};
// What the callback page is sent, and what it shows.
pub use crate::upstream::{CallbackAnswer, SingleSignOnError};
