//! One HTTPS exchange: connect, send, read within limits, and report the stage that was reached.

pub(in crate::upstream) mod exchange;
pub(in crate::upstream) mod fault;
pub(in crate::upstream) mod progress;
