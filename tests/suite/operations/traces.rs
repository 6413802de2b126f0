//! Spans reach a collector as the standard says, belong together, and tell nothing that is secret; a collector that is
//! not well harms nothing.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use keytile::domain::telemetry::trace_context::TraceContext;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::span::SpanKind,
};
use prost::Message;
use reqwest::Method;
use serde_json::json;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::scrape::Scrape;
use crate::{
    proxy::Scene,
    support::server::{OVERLAY, Setup, good_values, replaced},
    web::sessions::until,
};

/// A span as it arrived.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    name: String,
    kind: SpanKind,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    failed: bool,
    times: (u64, u64),
    attributes: BTreeMap<String, String>,
}

/// A stand-in for a collector; serves until it is dropped.
struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    /// What it answers.
    status: Arc<AtomicU16>,
    task: JoinHandle<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, status) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Arc::new(AtomicU16::new(200)));
        let shared = (Arc::clone(&received), Arc::clone(&status));
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (received, status) = shared.clone();
                open.spawn(async move {
                    let service = service_fn(move |request| {
                        let (received, status) = (Arc::clone(&received), Arc::clone(&status));
                        async move { Ok::<_, Infallible>(take(request, &received, &status).await) }
                    });
                    // How a connection ends is the client's affair.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, received, status, task }
    }

    /// Everything that was received.
    fn bytes(&self) -> Vec<u8> {
        self.received.lock().unwrap().concat()
    }

    fn spans(&self) -> Vec<Seen> {
        let received = self.received.lock().unwrap();
        let requests = received.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let mut spans = Vec::new();
        for of_resource in requests.flat_map(|request| request.resource_spans) {
            let resource = attributes(of_resource.resource.unwrap().attributes);
            assert_eq!(resource["service.name"], "keytile");
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Seen {
                    kind: span.kind(),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    failed: span.status.is_some_and(|status| status.code == 2),
                    times: (span.start_time_unix_nano, span.end_time_unix_nano),
                    attributes: attributes(span.attributes),
                });
            }
        }
        spans
    }

    /// Waits until spans of these names have come; the newest of each.
    async fn await_spans<const N: usize>(&self, names: [&str; N]) -> [Seen; N] {
        let newest = |name: &str| self.spans().into_iter().rev().find(|span| span.name == name);
        until(async || names.iter().all(|name| newest(name).is_some())).await;
        names.map(|name| newest(name).unwrap())
    }

    fn forget(&self) {
        self.received.lock().unwrap().clear();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(request: Request<Incoming>, received: &Mutex<Vec<Vec<u8>>>, status: &AtomicU16) -> Response<Body> {
    assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/v1/traces"));
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap();
    let status = status.load(Ordering::SeqCst);
    if status == 200 {
        received.lock().unwrap().push(body.to_vec());
    }
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn attributes(attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value.unwrap().value.unwrap()))).collect()
}

fn traced(collector: &Collector) -> Setup {
    Setup::new().with(format!("--otlp-endpoint=http://{}", collector.address)).with("--metrics-listen=127.0.0.1:0")
}

async fn scene(collector: &Collector) -> Scene {
    Scene::set_with(traced(collector), async |_| Response::new(Body::from("answer"))).await
}

const PROXIED: &str = "GET /proxy/{resource}/{path}";
const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_request_of_a_program_goes_on_in_its_trace_down_to_the_service() {
    let collector = Collector::start().await;
    let scene = scene(&collector).await;
    collector.forget();
    let answer =
        scene.get("/users?page=2").header("traceparent", CLIENT).header("tracestate", "a=1,b=2").header("x-request-id", "run-17");
    assert_eq!(answer.send().await.unwrap().status(), 200);
    let [request, call] = collector.await_spans([PROXIED, "call of a service"]).await;
    let client = TraceContext::parse(CLIENT).unwrap();
    assert_eq!((&request.trace[..], &request.parent[..], request.kind), (&client.trace[..], &client.span[..], SpanKind::Server));
    assert_eq!((&call.trace, &call.parent, call.kind), (&request.trace, &request.id, SpanKind::Client));
    let seen = scene.service.seen().pop().unwrap();
    let passed_on = TraceContext::parse(seen.header("traceparent").unwrap()).unwrap();
    assert_eq!((&passed_on.trace[..], &passed_on.span[..], passed_on.sampled), (&call.trace[..], &call.id[..], true));
    assert_eq!(seen.header("tracestate"), Some("a=1,b=2"));
    assert!(
        request.times.0 <= call.times.0 && call.times.0 < call.times.1 && call.times.1 <= request.times.1,
        "{request:?} {call:?}"
    );
    let clock = u64::try_from(keytile::domain::time::Clock::now(&*scene.setup.clock).as_millis()).unwrap() * 1_000_000;
    assert!(request.times.1.abs_diff(clock) < 60_000_000_000, "by the clock that was handed in");
    assert_eq!(
        (request.attributes["http.request.method"].as_str(), request.attributes["http.response.status_code"].as_str()),
        ("GET", "200")
    );
    assert_eq!(
        (request.attributes["keytile.request_id"].as_str(), call.attributes["keytile.resource"].as_str()),
        ("run-17", scene.source.as_str())
    );
    assert!(!request.failed && !call.failed);
}

#[tokio::test]
async fn a_fetch_of_a_token_is_found_below_the_request_that_caused_it() {
    let collector = Collector::start().await;
    let scene = scene(&collector).await;
    scene.setup.clock.advance(Duration::from_secs(700));
    collector.forget();
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 200);
    let [request, call, fetch] = collector.await_spans([PROXIED, "call of a service", "token fetch"]).await;
    assert_eq!(request.parent, Vec::<u8>::new(), "a trace of its own");
    assert_eq!((&fetch.trace, &fetch.parent), (&call.trace, &call.id));
    assert_eq!((fetch.attributes["keytile.reason"].as_str(), fetch.attributes["keytile.outcome"].as_str()), ("expired", "issued"));
    assert_eq!(fetch.attributes["keytile.credential"], scene.credential);
    scene.service.issues_instead(Some((401, json!({ "error": "invalid_client" }))));
    scene.setup.clock.advance(Duration::from_secs(700));
    collector.forget();
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 502);
    let [request, fetch] = collector.await_spans([PROXIED, "token fetch"]).await;
    assert!(request.failed && fetch.failed);
    assert_eq!(
        (request.attributes["keytile.outcome"].as_str(), fetch.attributes["keytile.outcome"].as_str()),
        ("credential_rejected", "rejected")
    );
}

#[tokio::test]
async fn a_verification_is_found_below_the_request_that_caused_it() {
    let collector = Collector::start().await;
    let setup = traced(&collector).with("--sandbox");
    let server = setup.start().await;
    let mut browser = server.browser();
    browser.add_credential("Support").await;
    let save = "POST /{kind}/new/{connector}/credentials/new";
    let [request, verification] = collector.await_spans([save, "verification"]).await;
    assert_eq!((&verification.trace, &verification.parent), (&request.trace, &request.id));
    assert_eq!(
        (verification.attributes["keytile.stage"].as_str(), verification.attributes["keytile.outcome"].as_str()),
        ("token", "verified")
    );
    collector.forget();
    let draft = browser.get(OVERLAY).await.value("draft");
    browser.post(OVERLAY, &replaced(good_values("Wrong", &draft), &[("client_secret", "no")])).await;
    let [verification] = collector.await_spans(["verification"]).await;
    assert!(verification.failed);
    assert_eq!(
        (verification.attributes["keytile.stage"].as_str(), verification.attributes["keytile.outcome"].as_str()),
        ("oauth", "rejected")
    );
}

#[tokio::test]
async fn what_is_malformed_begins_a_new_trace_and_what_is_not_sampled_is_left_alone() {
    let collector = Collector::start().await;
    let scene = scene(&collector).await;
    for malformed in ["", "nonsense", &CLIENT.to_uppercase(), &CLIENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32))]
    {
        collector.forget();
        let request = scene.get("/users").header("traceparent", malformed).header("tracestate", "a=1");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let [request, call] = collector.await_spans([PROXIED, "call of a service"]).await;
        assert_eq!(request.parent, Vec::<u8>::new(), "{malformed}");
        let seen = scene.service.seen().pop().unwrap();
        assert_eq!(TraceContext::parse(seen.header("traceparent").unwrap()).unwrap().trace[..], call.trace[..]);
        assert_eq!(seen.header("tracestate"), None, "it was of no trace");
    }
    let twice = scene.get("/users").header("traceparent", CLIENT).header("traceparent", CLIENT);
    collector.forget();
    twice.send().await.unwrap();
    assert_eq!(collector.await_spans([PROXIED]).await[0].parent, Vec::<u8>::new());
    collector.forget();
    let unsampled = CLIENT.replace("-01", "-00");
    scene.get("/users").header("traceparent", &unsampled).header("tracestate", "a=1").send().await.unwrap();
    let seen = scene.service.seen().pop().unwrap();
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(unsampled.as_str()), Some("a=1")));
    // The next one is kept, and by then the one before would have come.
    scene.get("/users").header("traceparent", CLIENT).send().await.unwrap();
    collector.await_spans([PROXIED]).await;
    assert_eq!(collector.spans().iter().filter(|span| span.name == PROXIED).count(), 1);
}

#[tokio::test]
async fn without_a_collector_headers_go_through_as_they_came() {
    let scene = Scene::set(async |_| Response::new(Body::empty())).await;
    assert!(!scene.server.service.is_traced());
    scene.get("/users").header("traceparent", CLIENT).header("tracestate", "a=1").send().await.unwrap();
    let seen = scene.service.seen().pop().unwrap();
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(CLIENT), Some("a=1")));
    scene.get("/users").send().await.unwrap();
    assert_eq!(scene.service.seen().pop().unwrap().header("traceparent"), None);
}

#[tokio::test]
async fn of_requests_that_begin_a_trace_a_share_is_kept() {
    let collector = Collector::start().await;
    let scene = Scene::set_with(traced(&collector).with("--otlp-sampling=0"), async |_| Response::new(Body::empty())).await;
    for _ in 0..5 {
        scene.get("/users").send().await.unwrap();
        assert_eq!(scene.service.seen().pop().unwrap().header("traceparent"), None);
    }
    scene.get("/users").header("traceparent", CLIENT).send().await.unwrap();
    collector.await_spans([PROXIED]).await;
    assert_eq!(
        collector.spans().iter().filter(|span| span.kind == SpanKind::Server).count(),
        1,
        "the one whose client keeps its spans"
    );
}

/// Everything secret that passes through a traced Keytile, and what is nobody's business.
#[tokio::test]
async fn nothing_secret_is_in_what_is_sent() {
    let collector = Collector::start().await;
    let scene = scene(&collector).await;
    let canaries = ["canary-query", "canary-path", "canary-header", "canary-body", "canary-id", "canary-secret", "canary-account"];
    scene.service.issues_instead(Some((200, json!({ "access_token": "canary-token", "token_type": "Bearer", "expires_in": 600 }))));
    let mut browser = scene.server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let typed = [("client_id", canaries[4]), ("client_secret", canaries[5])];
    let saved = browser.post(OVERLAY, &replaced(good_values("canary-name", &draft), &typed)).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let draft = browser.get(OVERLAY).await.value("draft");
    browser.post(OVERLAY, &replaced(good_values("Other", &draft), &[("account_name", canaries[6])])).await;
    scene.setup.clock.advance(Duration::from_secs(700));
    let asked = scene.ask(Method::POST, &scene.destination, "/contacts/canary-path?key=canary-query");
    asked.header("x-custom", "canary-header").header("cookie", "a=canary-header").body("canary-body").send().await.unwrap();
    browser.get("/credentials?q=canary-query").await;
    let [_, fetch, _] = collector.await_spans(["POST /proxy/{resource}/{path}", "token fetch", "verification"]).await;
    assert!(!fetch.failed);
    scene.server.stop().await;
    let sent = collector.bytes();
    let sent = String::from_utf8_lossy(&sent);
    assert!(sent.contains("http.request.method"), "{sent}");
    let secret = [
        "canary",
        "tok-",
        "kt_",
        "sandbox-secret",
        "sandbox-client",
        "talkdesk",
        "acme",
        "keytile_session",
        "ana@",
        scene.key.as_str(),
    ];
    for secret in secret {
        assert!(!sent.contains(secret), "{secret} is in what was sent");
    }
}

#[tokio::test]
async fn a_collector_that_is_not_well_harms_nothing() {
    // Nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let setup = Setup::new().with(format!("--otlp-endpoint=http://{gone}")).with("--metrics-listen=127.0.0.1:0");
    let scene = Scene::set_with(setup, async |_| Response::new(Body::from("answer"))).await;
    assert_eq!(scene.get("/users").send().await.unwrap().text().await.unwrap(), "answer");
    let figure = async |scene: &Scene, result: &str| {
        let scrape = Scrape::of(scene.server.metrics.unwrap()).await;
        scrape.value(&format!("keytile_trace_spans_total{{result=\"{result}\"}}"))
    };
    until(async || figure(&scene, "failed").await >= 2.0).await;
    assert_eq!(figure(&scene, "exported").await, 0.0);
    scene.server.stop().await;

    let collector = Collector::start().await;
    collector.status.store(503, Ordering::SeqCst);
    let scene = self::scene(&collector).await;
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 200);
    until(async || figure(&scene, "failed").await >= 2.0).await;
    collector.status.store(200, Ordering::SeqCst);
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 200);
    collector.await_spans([PROXIED]).await;
    until(async || figure(&scene, "exported").await >= 2.0).await;

    // It takes connections and says nothing: requests do not wait for it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("--otlp-endpoint=http://{}", silent.local_addr().unwrap());
    let scene = Scene::set_with(Setup::new().with(endpoint), async |_| Response::new(Body::from("answer"))).await;
    for _ in 0..50 {
        assert_eq!(scene.get("/users").send().await.unwrap().text().await.unwrap(), "answer");
    }
}

/// What is left is sent when Keytile stops.
#[tokio::test]
async fn the_last_spans_are_sent() {
    let collector = Collector::start().await;
    let scene = scene(&collector).await;
    scene.get("/users").send().await.unwrap().text().await.unwrap();
    scene.server.stop().await;
    assert_eq!(collector.spans().iter().filter(|span| span.name == PROXIED).count(), 1);
}
