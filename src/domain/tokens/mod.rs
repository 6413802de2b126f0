//! Access tokens: when to fetch, keep or give up one.

pub mod failure;
pub mod state;
