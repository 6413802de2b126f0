//! The types and rules of Keytile: no input or output, no clock of their own, no framework.
//!
//! What is parsed here cannot hold a wrong value afterwards. Nothing in here calls out, reads a file
//! or asks for the time; whoever needs the time is handed a [`time::Clock`].

pub mod account;
pub mod api_key;
pub mod audit;
pub mod audit_chain;
pub mod connector;
pub mod credential;
pub mod edit_form;
pub mod egress;
pub mod form;
pub mod group_role;
pub mod hand_over;
pub mod history;
pub mod identifier;
pub mod naming;
pub mod password;
pub mod permission;
pub mod request_path;
pub mod resource;
pub mod session;
pub mod setting;
pub mod sign_in_limit;
pub mod span;
pub mod time;
pub mod token_failure;
pub mod token_state;
pub mod trace_context;
pub mod values;
pub mod verification;
