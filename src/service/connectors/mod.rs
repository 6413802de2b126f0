//! The catalogue of connectors.

pub mod catalogue;
