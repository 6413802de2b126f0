//! One HTTPS exchange: connect, send, read within limits, and say how far it got.

pub(in crate::upstream) mod exchange;
pub(in crate::upstream) mod fault;
pub(in crate::upstream) mod progress;
