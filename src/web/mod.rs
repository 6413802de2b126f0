//! The web layer: pages, API and proxy. The only place with axum and askama.
//!
//! A handler turns a request into one call of [`crate::service`], and the result into a view, which a template with
//! the same name renders. Nothing here contains the name of a service, reads the clock or touches a secret: the
//! input of a secret field becomes a `SecretString` while the form is read.

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
