//! Metrics of incoming requests.

use std::time::Duration;

use prometheus_client::{encoding::EncodeLabelSet, metrics::family::Family, registry::Registry};

use super::{
    Counter, Histogram,
    families::Counters,
    histogram::{CALL, REQUEST},
};

/// The classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn class(status: u16) -> usize {
    usize::from((status / 100).clamp(1, 5)) - 1
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

type Histograms<S> = Family<S, Histogram, fn() -> Histogram>;

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST)
}

/// Requests to Keytile's own pages and API.
pub struct RouteMetrics {
    requests: Family<RouteLabels, Counter>,
    took: Histograms<RouteLabel>,
}

impl RouteMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let requests = Family::default();
        let took = Histograms::new_with_constructor(request_histogram as fn() -> Histogram);
        registry.register("keytile_http_requests", "Requests to pages and the API, by the pattern of the route", requests.clone());
        registry.register(
            "keytile_http_request_duration_seconds",
            "From the head of a request to the head of its response",
            took.clone(),
        );
        Self { requests, took }
    }

    /// Counts a response. `route` is the route's pattern, so that ids don't become label values.
    pub fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.took.get_or_create(&RouteLabel { route: route.clone() }).observe(took);
        let labels = RouteLabels { route, method: known_method(method), status: CLASSES[class(status)] };
        self.requests.get_or_create(&labels).inc();
    }
}

/// The method as a label value. Clients can send any method, so unknown ones become `other`.
pub fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

/// Requests through the proxy.
pub struct ProxyMetrics {
    /// By the status class of the service's response.
    forwarded: [Counter; 5],
    requests: Counters<2>,
    took: Histogram,
    again: Counter,
    abandoned: Counter,
}

/// A request in progress. Dropped without a response, it counts as abandoned by the client.
pub struct UnderWay<'a> {
    abandoned: Option<&'a Counter>,
}

impl UnderWay<'_> {
    pub fn answered(mut self) {
        self.abandoned = None;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(abandoned) = self.abandoned {
            abandoned.inc();
        }
    }
}

impl ProxyMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let requests = Counters::<2>::default();
        let forwarded = CLASSES.map(|class| requests.get_or_create(&[("by", "service"), ("outcome", class)]).clone());
        let abandoned = requests.get_or_create(&[("by", "nobody"), ("outcome", "abandoned")]).clone();
        let (took, again) = (Histogram::new(REQUEST), Counter::default());
        registry.register(
            "keytile_proxy_requests",
            "Requests to the proxy, by who responded (service, keytile or nobody) and the status class or problem code",
            requests.clone(),
        );
        registry.register(
            "keytile_proxy_request_duration_seconds",
            "From the head of a client's request to the head of the service's response",
            took.clone(),
        );
        registry.register(
            "keytile_proxy_requests_sent_again",
            "Requests sent again: with a new token, or after a pause if the egress policy allows it",
            again.clone(),
        );
        Self { forwarded, requests, took, again, abandoned }
    }

    pub fn begun(&self) -> UnderWay<'_> {
        UnderWay { abandoned: Some(&self.abandoned) }
    }

    /// The service responded, after this many attempts.
    pub fn forwarded(&self, status: u16, tries: u8, took: Duration) {
        self.forwarded[class(status)].inc();
        self.took.observe(took);
        if tries > 1 {
            self.again.inc_by(u64::from(tries - 1));
        }
    }

    /// Keytile responded itself, with this error code.
    pub fn refused(&self, code: &'static str) {
        self.requests.get_or_create(&[("by", "keytile"), ("outcome", code)]).inc();
    }
}

pub(super) fn call_histogram() -> Histogram {
    Histogram::new(CALL)
}
