//! Views of users.

pub(crate) mod account_field;
pub(crate) mod agent;
pub(crate) mod person;
pub(crate) mod settings_nav;
