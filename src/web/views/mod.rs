//! What templates show: domain values prepared for reading, without a database row or a secret in them.

pub(crate) mod account_field;
pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod flow;
pub(crate) mod form;
pub(crate) mod form_place;
pub(crate) mod history;
pub(crate) mod key;
pub(crate) mod person;
pub(crate) mod preview;
pub(crate) mod settings;
pub(crate) mod single_sign_on;
pub(crate) mod tile;
pub(crate) mod verification;
