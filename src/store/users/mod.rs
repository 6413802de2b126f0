//! Users in the database, with their password links and single sign-on identities.

pub(in crate::store) mod admin;
pub(in crate::store) mod identities;
pub(in crate::store) mod password_links;
pub(in crate::store) mod user;

pub use self::user::{FIRST_VERSION, NewUser, UserInsert, UserToSignIn};
