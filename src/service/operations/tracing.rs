//! Traces: what was done for which request, for a collector of OpenTelemetry. Off unless a collector is named, and
//! then nothing is made or measured for them.
//!
//! A span says what kind of thing was done and to which id; what was typed, addresses, paths, queries and headers are
//! none of its business. What is done for a request carries the context of its span along (`carried`), so that a
//! fetch of a token is found below the request that caused it, although it goes on without it.

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

/// Where the context stands in a request (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What goes with it, of whoever began the trace.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

tokio::task_local! {
    /// The span that the present task works for.
    static PRESENT: TraceContext;
}

/// Where spans go, and how many traces are begun.
pub(in crate::service) struct Tracer {
    sink: SpanSink,
    /// The share of requests that begin a trace of their own, from 0 to 1.
    sampling: f64,
    stopping: CancellationToken,
    exporting: TaskTracker,
}

/// How long what is left may take to be sent when Keytile stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Tracer {
    fn begin(&self, context: TraceContext, parent: Option<SpanId>, name: String, kind: SpanKind) -> OpenSpan {
        let (begun, sink) = (Instant::now(), self.sink.clone());
        OpenSpan { context, parent, name, kind, begun, failed: false, attributes: Vec::new(), sink }
    }
}

/// A span that has begun. It ends when it is dropped: when its work is done, or given up.
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
    /// Where work is placed that is done for this span.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Says something of the work.
    pub fn say(&mut self, name: &'static str, value: SpanValue) {
        self.attributes.push((name, value));
    }

    /// Says whether the work failed.
    pub fn failed_if(&mut self, failed: bool) {
        self.failed = failed;
    }

    /// Does work that belongs to this span.
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

/// Work that goes on in another task, for the span of the present one.
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
    /// Sends spans to a collector from now on. `sampling` is the share of requests that begin a trace; those that
    /// belong to one already go by what it says. The error is a sentence without the setting's name.
    pub fn use_collector(&self, endpoint: &Url, sampling: f64) -> Result<(), String> {
        let (sink, exporter) = self.0.upstream.collector.span_exporter(endpoint)?;
        let (stopping, exporting) = (CancellationToken::new(), TaskTracker::new());
        let tracer = Tracer { sink, sampling, stopping: stopping.clone(), exporting: exporting.clone() };
        // Once, when the app is built: whoever comes later changes nothing.
        if self.0.tracer.set(tracer).is_ok() {
            exporting.spawn(exporter.run(stopping));
        }
        Ok(())
    }

    /// Whether spans are sent anywhere.
    pub fn is_traced(&self) -> bool {
        self.0.tracer.get().is_some()
    }

    /// Begins the span of a request, below `parent` where the client sent one. `None` where it is not kept.
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

    /// Begins a span of what is done for the present one. `None` where there is none.
    pub(in crate::service) fn begin_span(&self, name: &'static str, kind: SpanKind) -> Option<OpenSpan> {
        let tracer = self.0.tracer.get()?;
        let TraceContext { trace, span: parent, .. } = PRESENT.try_with(|context| *context).ok()?;
        Some(tracer.begin(TraceContext { trace, span: random::bytes(), sampled: true }, Some(parent), name.to_owned(), kind))
    }

    /// Begins the span of a call of a service for a request, and tells the service so (`traceparent`). Where no span is
    /// kept, the headers stay as they are: the trace of the client is none of Keytile's business then.
    pub fn trace_call(&self, resource: ResourceId, headers: &mut HeaderMap) -> Option<OpenSpan> {
        let mut span = self.begin_span("call of a service", SpanKind::Client)?;
        span.say("keytile.resource", SpanValue::Text(resource.to_string()));
        // It has only digits, small letters and dashes.
        let told = HeaderValue::from_str(&span.context.to_header()).ok()?;
        headers.insert(TRACEPARENT, told);
        Some(span)
    }

    /// What became of spans so far.
    pub(in crate::service) fn span_totals(&self) -> SpanTotals {
        let counts = self.0.tracer.get().map(|tracer| tracer.sink.counts()).unwrap_or_default();
        SpanTotals { exported: counts.exported, dropped: counts.dropped, failed: counts.failed }
    }

    /// Sends what has not been sent, for a while.
    pub(in crate::service) async fn close_traces(&self) {
        let Some(Tracer { stopping, exporting, .. }) = self.0.tracer.get() else { return };
        stopping.cancel();
        exporting.close();
        if timeout(LAST_WORDS, exporting.wait()).await.is_err() {
            tracing::warn!("the collector did not accept the last spans in time");
        }
    }
}
