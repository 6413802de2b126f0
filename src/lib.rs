//! Keytile: a self-hosted credential store for data connectors.
//!
//! The map, a line a module:
//!
//! - [`config`]: every setting: flag, variable, default
//! - [`app`]: builds an app from a config and a clock, and serves it
//! - [`cli`]: the command line, a file a command
//! - [`client`]: Keytile's own API, as the command line asks it
//! - [`threads`]: which thread this is, for what each has its own of
//! - [`domain`]: types and rules; no input or output, no clock of their own
//! - [`metrics`]: what is counted, as Prometheus reads it
//! - [`crypto`]: the only place with keys and ciphers
//! - [`store`]: the only place with SQL; sees ciphertext only
//! - [`upstream`]: the only place that calls out
//! - [`service`]: what Keytile does, a file a use case
//! - [`web`]: the only place with pages
//! - [`sandbox`]: a stand-in service with TLS, for trying Keytile and for tests
//! - `fuzz`: what must hold for any bytes that come from outside; for tests and fuzzers only
//!
//! Imports point one way: `web, cli → service → store, upstream, crypto → domain`. A test reads them and
//! fails on an arrow that runs the other way.

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod crypto;
pub mod domain;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod metrics;
pub mod sandbox;
pub mod service;
pub mod store;
pub mod threads;
pub mod upstream;
pub mod web;
