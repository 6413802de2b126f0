//! A span: something that was done, when, how long it took, and what it was done for.

use std::time::{Duration, Instant};

use super::trace_context::{SpanId, TraceId};

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that came in.
    Server,
    /// A call of a service.
    Client,
    /// Work of Keytile's own.
    Internal,
}

/// What a span says of itself. The names are fixed and the values are words, numbers and ids: nothing that was typed,
/// no path, no query and no header is among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanValue {
    /// A word out of a list.
    Word(&'static str),
    /// An id, or the pattern of a route.
    Text(String),
    /// A number.
    Number(i64),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// What it was done for; `None` for the first of a trace.
    pub parent: Option<SpanId>,
    /// What was done.
    pub name: String,
    /// What kind of work it was.
    pub kind: SpanKind,
    /// When it began.
    pub begun: Instant,
    /// How long it took.
    pub took: Duration,
    /// Whether it failed.
    pub failed: bool,
    /// What it says of itself.
    pub attributes: Vec<(&'static str, SpanValue)>,
}
