//! Signing in: passwords, sessions, second factors, throttling, device cookies, single sign-on.

pub mod browser;
pub(in crate::service) mod devices;
pub mod password_hashing;
pub mod second_factor;
pub mod sessions;
pub mod sign_in;
pub mod sso;
pub(in crate::service) mod throttle;
