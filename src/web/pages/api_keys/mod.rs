//! API keys: list, one key, creating one.

pub(crate) mod create;
pub(crate) mod list;
