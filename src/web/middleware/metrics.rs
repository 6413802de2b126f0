//! Counts requests and their durations by route pattern, and starts their traces if tracing is enabled.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use super::request_id::RequestId;
use crate::{
    domain::telemetry::span::SpanValue,
    metrics::known_method,
    service::operations::tracing::OpenSpan,
    web::{http::trace, state::WebState},
};

/// The route label of requests without a route. Their path would let clients create any number of labels.
const NO_ROUTE: &str = "none";
/// Routes that start no trace: they are requested all the time, and their traces say nothing.
const UNTRACED: [&str; 5] = ["/healthz", "/readyz", "/static/{name}", "/favicon.ico", NO_ROUTE];
/// Only API clients can continue a trace. A browser's trace isn't the operator's.
const OF_PROGRAMS: &str = "/api/";

pub(crate) async fn measured(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let (route, method) = (request.extensions().get::<MatchedPath>().cloned(), known_method(request.method().as_str()));
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let begun = Instant::now();
    let mut span = if state.service.is_traced() { begin_span(&state, &mut request, route, method) } else { None };
    let response = match &span {
        None => next.run(request).await,
        Some(span) => Box::pin(span.around(next.run(request))).await,
    };
    let status = response.status();
    if let Some(span) = &mut span {
        span.say("http.response.status_code", SpanValue::Number(status.as_u16().into()));
        span.failed_if(status.is_server_error());
    }
    state.service.metrics().routes.answered(route, method, status.as_u16(), begun.elapsed());
    response
}

fn begin_span(state: &WebState, request: &mut Request, route: &str, method: &'static str) -> Option<OpenSpan> {
    if UNTRACED.contains(&route) {
        return None;
    }
    let parent = if route.starts_with(OF_PROGRAMS) { trace::parent(request.headers_mut()) } else { None };
    let mut span = state.service.begin_request(parent, || format!("{method} {route}"))?;
    span.say("http.request.method", SpanValue::Word(method));
    span.say("http.route", SpanValue::Text(route.to_owned()));
    if let Some(id) = request.extensions().get::<RequestId>() {
        span.say("keytile.request_id", SpanValue::Text(id.as_str().to_owned()));
    }
    Some(span)
}
