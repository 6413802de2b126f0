//! Views: what templates show. Domain values in presentable form, without secrets.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(super) mod auth;
pub(super) mod credentials;
pub(in crate::web) mod relative_time;
pub(super) mod resources;
pub(super) mod usage;
pub(super) mod users;
