//! Access tokens: when to use, fetch or replace one.

pub mod failure;
pub mod state;
