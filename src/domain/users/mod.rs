//! Users: their roles, passwords and sessions, and the throttle that slows down password guessing.

pub mod password;
pub mod session;
pub mod sign_in_throttle;
pub mod user;

pub use self::user::{EMAIL_MAX, Email, Role, User, UserId, UserState, email_key};
