//! Sends spans to a collector: OTLP over HTTP, encoded as protobuf.
//!
//! Recording a span never waits. Up to [`WAITING_MAX`] spans are queued; spans that don't fit, and batches that the
//! collector doesn't accept, are counted and dropped. A collector that is down, slow or full therefore costs a
//! little memory but doesn't slow down requests. The operator names its address, so that any address is allowed,
//! also without TLS. Redirects are not followed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as ProtoSpan, Status, span, status::StatusCode},
};
use prost::Message;
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderValue},
    redirect,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::egress::resolver::Names;
use crate::domain::{
    telemetry::span::{Span, SpanKind, SpanValue},
    time::{Clock, Timestamp},
};

/// The most spans in the queue.
const WAITING_MAX: usize = 8_192;
/// The most spans in one request.
const BATCH: usize = 512;
/// The longest time that a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// The time limit for sending a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest difference between the two clocks, in nanoseconds, before span times are aligned with the wall
/// clock.
const DRIFT_MAX: u64 = 5_000_000;

/// The number of spans so far, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Accepted by the collector.
    pub exported: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Not accepted by the collector.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Where spans are recorded. Cheap to clone.
#[derive(Clone)]
pub struct SpanSink {
    sender: mpsc::Sender<Span>,
    counters: Arc<Counters>,
}

impl SpanSink {
    /// Queues a span, or drops it if the queue is full. Never waits.
    pub fn record(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of spans so far, by outcome.
    pub fn counts(&self) -> SpanCounts {
        let Counters { exported, dropped, failed } = &*self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SpanCounts { exported: read(exported), dropped: read(dropped), failed: read(failed) }
    }
}

/// Sends the spans of its sink.
pub struct SpanExporter {
    receiver: mpsc::Receiver<Span>,
    counters: Arc<Counters>,
    client: Client,
    address: Url,
    clock: Arc<dyn Clock>,
    times: Times,
    /// True if the last batch failed, so that each series of failures is logged once.
    failing: bool,
}

/// Calls the collector of traces, which an operator has named: the egress guard does not limit it.
pub struct CollectorClient {
    tls: rustls::ClientConfig,
    names: Arc<Names>,
    clock: Arc<dyn Clock>,
}

impl CollectorClient {
    pub(super) fn new(tls: rustls::ClientConfig, names: Arc<Names>, clock: Arc<dyn Clock>) -> Self {
        Self { tls, names, clock }
    }

    /// A sink and what sends its spans to the collector at `endpoint`, below which OTLP's own path is appended.
    pub fn span_exporter(&self, endpoint: &Url) -> Result<(SpanSink, SpanExporter), String> {
        let mut address = endpoint.clone();
        address.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(OpenNames(Arc::clone(&self.names)))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .referer(false)
            .timeout(PATIENCE)
            .build()
            .map_err(|error| error.to_string())?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let counters = Arc::<Counters>::default();
        let clock = Arc::clone(&self.clock);
        let times = Times { instant: Instant::now(), nanos: nanos_of(clock.now()) };
        let exporter = SpanExporter { receiver, counters: Arc::clone(&counters), client, address, clock, times, failing: false };
        Ok((SpanSink { sender, counters }, exporter))
    }
}

impl SpanExporter {
    /// Sends spans until `stopping` is cancelled, then sends the rest of the queue.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled(), if !self.receiver.is_closed() => {
                    self.receiver.close();
                }
                received = self.receiver.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    self.fill(&mut batch, &stopping).await;
                    self.send(&mut batch).await;
                }
            }
        }
    }

    /// Waits briefly for more spans, because one request for many costs less.
    async fn fill(&mut self, batch: &mut Vec<Span>, stopping: &CancellationToken) {
        let more = async { while batch.len() < BATCH && self.receiver.recv_many(batch, BATCH - batch.len()).await > 0 {} };
        // Spans that have arrived are in the batch, however the wait ends.
        let _ = stopping.run_until_cancelled(timeout(DELAY, more)).await;
    }

    async fn send(&mut self, batch: &mut Vec<Span>) {
        let count = batch.len() as u64;
        self.times.follow(Instant::now(), nanos_of(self.clock.now()));
        let spans = batch.drain(..).map(|span| proto(span, &self.times)).collect();
        let body = request(spans).encode_to_vec();
        let request =
            self.client.post(self.address.clone()).header(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let reason = match request.body(body).send().await {
            Ok(answer) if answer.status().is_success() => {
                self.counters.exported.fetch_add(count, Ordering::Relaxed);
                if std::mem::replace(&mut self.failing, false) {
                    tracing::info!("the collector takes spans again");
                }
                return;
            }
            Ok(answer) => format!("it answered {}", answer.status()),
            Err(error) if error.is_timeout() => "it did not answer in time".to_owned(),
            Err(error) if error.is_connect() => "it cannot be reached".to_owned(),
            Err(_) => "the connection broke".to_owned(),
        };
        self.counters.failed.fetch_add(count, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(reason, "the collector of --otlp-endpoint takes no spans; they are dropped until it does");
        }
    }
}

/// Converts monotonic instants to wall clock times.
struct Times {
    instant: Instant,
    nanos: u64,
}

impl Times {
    /// Keeps its reference point while the clocks agree, so that the spans of one trace are consistent to the
    /// microsecond.
    fn follow(&mut self, instant: Instant, nanos: u64) {
        if self.at(instant).abs_diff(nanos) > DRIFT_MAX {
            *self = Self { instant, nanos };
        }
    }

    fn at(&self, instant: Instant) -> u64 {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.nanos.saturating_add(nanos(later)),
            None => self.nanos.saturating_sub(nanos(self.instant.duration_since(instant))),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos_of(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.as_millis()).unwrap_or(0).saturating_mul(1_000_000)
}

fn request(spans: Vec<ProtoSpan>) -> ExportTraceServiceRequest {
    let version = || env!("CARGO_PKG_VERSION").to_owned();
    let attributes =
        vec![attribute("service.name", SpanValue::Word("keytile")), attribute("service.version", SpanValue::Text(version()))];
    let scope = InstrumentationScope { name: "keytile".into(), version: version(), ..Default::default() };
    let of_scope = ScopeSpans { scope: Some(scope), spans, ..Default::default() };
    let resource = Resource { attributes, ..Default::default() };
    let of_resource = ResourceSpans { resource: Some(resource), scope_spans: vec![of_scope], ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }
}

fn proto(span: Span, times: &Times) -> ProtoSpan {
    let begun = times.at(span.begun);
    let kind = match span.kind {
        SpanKind::Server => span::SpanKind::Server,
        SpanKind::Client => span::SpanKind::Client,
        SpanKind::Internal => span::SpanKind::Internal,
    };
    let status = Status { code: StatusCode::Error.into(), ..Default::default() };
    ProtoSpan {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        name: span.name,
        kind: kind.into(),
        start_time_unix_nano: begun,
        end_time_unix_nano: begun.saturating_add(nanos(span.took)),
        attributes: span.attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        status: span.failed.then_some(status),
        ..Default::default()
    }
}

fn attribute(key: &'static str, value: SpanValue) -> KeyValue {
    let value = match value {
        SpanValue::Word(word) => Value::StringValue(word.to_owned()),
        SpanValue::Text(text) => Value::StringValue(text),
        SpanValue::Number(number) => Value::IntValue(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// Resolves to any address, because the operator has named the host.
struct OpenNames(Arc<Names>);

impl Resolve for OpenNames {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move { Ok(Box::new(names.addresses(name.as_str()).await?.into_iter()) as Addrs) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_on_evenly_until_the_clock_is_set() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut times = Times { instant: start, nanos: 1_000_000_000 };
        assert_eq!(times.at(after(2)), 1_002_000_000);
        // The wall clock has milliseconds only, so that it seems to be slightly off.
        times.follow(after(10), 1_011_000_000);
        assert_eq!(times.at(after(10)), 1_010_000_000);
        times.follow(after(20), 9_000_000_000);
        assert_eq!((times.at(after(20)), times.at(after(19))), (9_000_000_000, 8_999_000_000));
    }
}
