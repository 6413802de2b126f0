//! The spans of a trace, and the trace context that requests carry.

pub mod span;
pub mod trace_context;
