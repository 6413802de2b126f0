//! Users: setup of the first administrator, a user's own account, administration, password links.

pub mod admin;
pub mod own_account;
pub mod password_links;
pub mod reauthentication;
pub mod setup;
