//! The trace that a request belongs to.

use axum::http::HeaderMap;

use crate::{
    domain::telemetry::trace_context::TraceContext,
    service::operations::tracing::{TRACEPARENT, TRACESTATE},
};

/// The trace context that a client sent, if it is valid. Headers of an invalid one are removed.
pub(in crate::web) fn parent(headers: &mut HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next().filter(|_| values.next().is_none());
    let context = value.and_then(|value| TraceContext::parse(value.to_str().ok()?));
    if context.is_none() {
        headers.remove(TRACESTATE);
    }
    context
}
