//! The pages: the only place with axum and askama.
//!
//! A handler turns a request into one call of [`crate::service`], and its answer into a view that a
//! template of the same name renders. Nothing here knows a service by name, reads the clock or touches
//! a secret: what was typed into a secret field goes into a `SecretString` while the form is read and
//! is not seen again.

mod api;
mod assets;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod http;
mod layout;
mod limits;
mod middleware;
mod pages;
mod proxy;
mod router;
pub mod server;
mod session;
mod state;
mod views;

pub use self::http::client_address::TrustedProxies;
pub use self::pages::auth::sso::CALLBACK as SINGLE_SIGN_ON_CALLBACK;
pub use self::proxy::Proxy;
pub use self::router::router;
pub use self::state::{SandboxHints, WebSettings, WebState};
