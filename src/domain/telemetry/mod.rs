//! Spans of a trace and the context that carries them.

pub mod span;
pub mod trace_context;
