//! A span: one operation of a trace, with its start, its duration and its parent.

use std::time::{Duration, Instant};

use super::trace_context::{SpanId, TraceId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// An incoming request.
    Server,
    /// A request to a service.
    Client,
    /// Work inside Keytile.
    Internal,
}

/// The value of an attribute: a fixed word, a number or an id. Attributes never hold typed text, paths,
/// queries or headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanValue {
    /// From a fixed list.
    Word(&'static str),
    /// An id, or the pattern of a route.
    Text(String),
    Number(i64),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    /// `None` for the first span of a trace.
    pub parent: Option<SpanId>,
    pub name: String,
    pub kind: SpanKind,
    pub begun: Instant,
    pub took: Duration,
    pub failed: bool,
    pub attributes: Vec<(&'static str, SpanValue)>,
}
