//! Traces for an OpenTelemetry collector: what was done for which request. Off unless a collector is configured;
//! then nothing is created or measured.
//!
//! A span contains what kind of work was done and for which id, never input, addresses, paths, queries or headers.
//! Work for a request carries the context of its span along (`carried`), so that the fetch of a token appears below
//! the request that caused it, although it outlives that request.

use std::time::{Duration, Instant};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use crate::{
    crypto::random,
    domain::{
        resources::ResourceId,
        telemetry::{
            span::{Span, SpanKind, SpanValue},
            trace_context::{SpanId, TraceContext},
        },
    },
    metrics::SpanTotals,
    service::Service,
    upstream::SpanSink,
};

/// The header with the trace context (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Further context of the system that began the trace.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

tokio::task_local! {
    /// The span that the current task works for.
    static PRESENT: TraceContext;
}

/// Where spans go, and how many traces are started.
pub(in crate::service) struct Tracer {
    sink: SpanSink,
    /// The share of requests that start a new trace, from 0 to 1.
    sampling: f64,
    stopping: CancellationToken,
    exporting: TaskTracker,
}

/// How long the remaining spans may take to be sent at shutdown.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Tracer {
    fn begin(&self, context: TraceContext, parent: Option<SpanId>, name: String, kind: SpanKind) -> OpenSpan {
        let (begun, sink) = (Instant::now(), self.sink.clone());
        OpenSpan { context, parent, name, kind, begun, failed: false, attributes: Vec::new(), sink }
    }
}

/// A span in progress. It ends when it is dropped, whether or not its work is complete.
pub struct OpenSpan {
    context: TraceContext,
    parent: Option<SpanId>,
    name: String,
    kind: SpanKind,
    begun: Instant,
    failed: bool,
    attributes: Vec<(&'static str, SpanValue)>,
    sink: SpanSink,
}

impl OpenSpan {
    /// The trace context for work below this span.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Adds an attribute.
    pub fn say(&mut self, name: &'static str, value: SpanValue) {
        self.attributes.push((name, value));
    }

    /// Sets the status to failed if `failed` is true.
    pub fn failed_if(&mut self, failed: bool) {
        self.failed = failed;
    }

    /// Runs work that belongs to this span.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        PRESENT.scope(self.context, work).await
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let Self { context, parent, kind, begun, failed, .. } = *self;
        self.sink.record(Span {
            trace: context.trace,
            id: context.span,
            parent,
            name: std::mem::take(&mut self.name),
            kind,
            begun,
            took: begun.elapsed(),
            failed,
            attributes: std::mem::take(&mut self.attributes),
        });
    }
}

/// Work that continues in another task, for the current span.
pub(in crate::service) fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let present = PRESENT.try_with(|context| *context).ok();
    async move {
        match present {
            Some(context) => PRESENT.scope(context, work).await,
            None => work.await,
        }
    }
}

impl Service {
    /// Enables sending spans to a collector. `sampling` is the share of requests that start a trace; requests that
    /// already belong to a trace follow its decision. The error is a sentence without the setting's name.
    pub fn use_collector(&self, endpoint: &Url, sampling: f64) -> Result<(), String> {
        let (sink, exporter) = self.0.upstream.collector.span_exporter(endpoint)?;
        let (stopping, exporting) = (CancellationToken::new(), TaskTracker::new());
        let tracer = Tracer { sink, sampling, stopping: stopping.clone(), exporting: exporting.clone() };
        // Set once, when the app is built; later calls have no effect.
        if self.0.tracer.set(tracer).is_ok() {
            exporting.spawn(exporter.run(stopping));
        }
        Ok(())
    }

    /// True if spans are sent to a collector.
    pub fn is_traced(&self) -> bool {
        self.0.tracer.get().is_some()
    }

    /// Starts the span of a request, below `parent` if the client sent one. `None` if the trace isn't sampled.
    pub fn begin_request(&self, parent: Option<TraceContext>, name: impl FnOnce() -> String) -> Option<OpenSpan> {
        let tracer = self.0.tracer.get()?;
        let (trace, parent) = match parent {
            Some(TraceContext { sampled: false, .. }) => return None,
            Some(TraceContext { trace, span, .. }) => (trace, Some(span)),
            None if tracer.sampling < 1.0 && random::fraction() >= tracer.sampling => return None,
            None => (random::bytes(), None),
        };
        Some(tracer.begin(TraceContext { trace, span: random::bytes(), sampled: true }, parent, name(), SpanKind::Server))
    }

    /// Starts a span below the current one. `None` if there is none.
    pub(in crate::service) fn begin_span(&self, name: &'static str, kind: SpanKind) -> Option<OpenSpan> {
        let tracer = self.0.tracer.get()?;
        let TraceContext { trace, span: parent, .. } = PRESENT.try_with(|context| *context).ok()?;
        Some(tracer.begin(TraceContext { trace, span: random::bytes(), sampled: true }, Some(parent), name.to_owned(), kind))
    }

    /// Starts the span of a call to a service for a request, and adds `traceparent` to the call. Without a span,
    /// the headers stay as they are, because the client's trace then bypasses Keytile.
    pub fn trace_call(&self, resource: ResourceId, headers: &mut HeaderMap) -> Option<OpenSpan> {
        let mut span = self.begin_span("call of a service", SpanKind::Client)?;
        span.say("keytile.resource", SpanValue::Text(resource.to_string()));
        // The value only contains digits, lower-case letters and dashes.
        let told = HeaderValue::from_str(&span.context.to_header()).ok()?;
        headers.insert(TRACEPARENT, told);
        Some(span)
    }

    /// The number of spans so far, by outcome.
    pub(in crate::service) fn span_totals(&self) -> SpanTotals {
        let counts = self.0.tracer.get().map(|tracer| tracer.sink.counts()).unwrap_or_default();
        SpanTotals { exported: counts.exported, dropped: counts.dropped, failed: counts.failed }
    }

    /// Sends the remaining spans, within a time limit.
    pub(in crate::service) async fn close_traces(&self) {
        let Some(Tracer { stopping, exporting, .. }) = self.0.tracer.get() else { return };
        stopping.cancel();
        exporting.close();
        if timeout(LAST_WORDS, exporting.wait()).await.is_err() {
            tracing::warn!("the collector did not accept the last spans in time");
        }
    }
}
