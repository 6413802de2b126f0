//! Accounts: set-up, profile, administration, password links.

pub mod admin;
pub mod own_account;
pub mod password_links;
pub mod reauthentication;
pub mod setup;
