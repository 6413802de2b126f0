//! The tests of Keytile as a whole, one module a part. Nothing has to be started by hand for them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod api;
mod apikey_command;
mod architecture;
mod attacks;
mod broker;
mod client_command;
mod configuration;
mod dependencies;
mod oidc_provider;
mod operations;
mod pipeline;
mod process;
mod proxy;
mod sandbox;
mod security_docs;
mod store;
mod support;
mod upstream;
mod user_command;
mod web;
