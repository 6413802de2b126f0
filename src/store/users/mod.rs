//! Accounts in the database, with password links and external identities.

pub(in crate::store) mod admin;
pub(in crate::store) mod identities;
pub(in crate::store) mod password_links;
pub(in crate::store) mod user;

pub use self::user::{FIRST_VERSION, NewUser, UserInsert, UserToSignIn};
