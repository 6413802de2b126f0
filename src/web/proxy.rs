//! `/proxy/{resource}/{path}`: requests of API clients, forwarded with the access token.
//!
//! Handled before the router, so that none of the middleware for pages applies. Both bodies stream; a small request
//! body is read completely first, so that it can be sent again with another token.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts},
};
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    http::{
        client_address::ClientAddress,
        problem::{Problem, ProblemDiagnosis},
        response_body::Content,
        trace,
    },
    middleware::{
        host_guard::Guard,
        request_id::{REQUEST_ID, RequestId},
    },
    state::WebState,
};
use crate::{
    domain::{
        credentials::verification::Diagnosis,
        resources::egress_policy::Breach,
        telemetry::span::SpanValue,
        tokens::failure::FailureClass,
        usage::{TokenSource, UseOutcome},
    },
    metrics::known_method,
    service::{
        Service,
        access::caller::Origin,
        operations::tracing::OpenSpan,
        proxy::{Admission, Admitted, Forward, ForwardFault, ProxyBody, ProxyFault, Refused, Route, Sent, Visit},
        tokens::broker::TokenRefusal,
    },
};

/// The prefix of all proxy paths.
const PREFIX: &str = "/proxy/";
/// The route pattern in logs and metrics.
const PATTERN: &str = "/proxy/{resource}/{path}";
/// The largest body that is read completely first, in bytes.
const KEPT_MAX: u64 = 64 * 1024;

/// The id that the service gave the request, if any.
static UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
/// Marks responses that come from the service rather than from Keytile.
static UPSTREAM: HeaderName = HeaderName::from_static("x-keytile-upstream");

/// Responds to the requests of API clients.
pub struct Proxy {
    service: Service,
    /// Checks the host name of the request.
    guard: Guard,
    /// The time limit for reading a small body.
    patience: Duration,
}

/// The client of a request, and when the request arrived.
struct Asker<'a> {
    client: ClientAddress,
    /// The cache of the connection.
    visit: &'a Visit,
    id: RequestId,
    begun: Instant,
}

impl Proxy {
    pub fn new(state: &WebState) -> Self {
        let settings = &state.settings;
        let guard = Guard::new(&settings.public_url, settings.loopback);
        Self { service: state.service.clone(), guard, patience: settings.limits.body_whole }
    }

    /// True if a request is for the proxy.
    pub(crate) fn takes<B>(request: &Request<B>) -> bool {
        request.uri().path().starts_with(PREFIX)
    }

    pub(super) async fn answer(&self, head: &mut Parts, body: Incoming, client: ClientAddress, visit: &Visit) -> Response<Content> {
        let asker = Asker { client, visit, id: RequestId::of(&head.headers), begun: Instant::now() };
        let under_way = self.service.metrics().proxy.begun();
        // Boxed to keep the hot future small: most requests have no span.
        let mut span = if self.service.is_traced() { self.begin_span(head, &asker.id).map(Box::new) } else { None };
        let (answered, took) = match &span {
            None => self.forward(head, body, &asker).await,
            Some(span) => Box::pin(span.around(self.forward(head, body, &asker))).await,
        };
        let id = asker.id;
        under_way.answered();
        if let Some(span) = &mut span {
            end_span(span, &answered);
        }
        match answered {
            Ok(Sent { answer, tries, .. }) => {
                let status = answer.status().as_u16();
                self.service.metrics().proxy.forwarded(status, tries, took);
                tracing::debug!(request = id.as_str(), method = %head.method, status, tries, "forwarded");
                let mut response = answer.into_response().map(Content::Forwarded);
                let headers = response.headers_mut();
                if let Some(of_service) = headers.insert(&REQUEST_ID, id.into_value()) {
                    headers.insert(&UPSTREAM_REQUEST_ID, of_service);
                }
                headers.insert(&UPSTREAM, HeaderValue::from_static("1"));
                response
            }
            Err(problem) => {
                self.service.metrics().proxy.refused(problem.code());
                tracing::debug!(request = id.as_str(), method = %head.method, status = problem.status().as_u16(), code = problem.code(), "refused");
                let mut response = problem.write(id.as_str());
                response.headers_mut().insert(&REQUEST_ID, id.into_value());
                response.map(Content::Page)
            }
        }
    }

    fn begin_span(&self, head: &mut Parts, id: &RequestId) -> Option<OpenSpan> {
        let parent = trace::parent(&mut head.headers);
        let method = known_method(head.method.as_str());
        let mut span = self.service.begin_request(parent, || format!("{method} {PATTERN}"))?;
        span.say("http.request.method", SpanValue::Word(method));
        span.say("keytile.request_id", SpanValue::Text(id.as_str().to_owned()));
        Some(span)
    }

    /// The service's response, or the problem in its place, and how long it took.
    async fn forward(&self, head: &mut Parts, body: Incoming, asker: &Asker<'_>) -> (Result<Sent, Problem>, Duration) {
        let mut admitted = match self.admit(head, asker, asker.begun).await {
            Ok(admitted) => admitted,
            Err(problem) => return (Err(problem), asker.begun.elapsed()),
        };
        let result = self.pass(&mut admitted, head, body, asker).await;
        let (token, outcome) = match &result {
            Ok(sent) => (sent.token, UseOutcome::Answered(sent.answer.status().as_u16())),
            Err(problem) => (TokenSource::None, UseOutcome::Refused { status: problem.status().as_u16(), code: problem.code() }),
        };
        let took = asker.begun.elapsed();
        self.service.count_request(&admitted, token, outcome, took);
        (result, took)
    }

    /// Checks whether a request may be sent now, and finds its route.
    async fn admit(&self, head: &Parts, asker: &Asker<'_>, now: Instant) -> Result<Admitted, Problem> {
        let authority = head.uri.authority().map(|authority| authority.as_str());
        self.guard.check(&head.method, authority, &head.headers).map_err(|_| {
            let detail = "Keytile doesn't use this host name, or the request came from another site. Use Keytile's own address.";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "other_host", detail)
        })?;
        let resource = resource_of(head.uri.path()).ok_or_else(no_such_resource)?;
        let key = bearer(&head.headers).ok_or_else(|| {
            let detail = "Send the header Authorization: Bearer with a Keytile API key (kt_…) that has the scope proxy.";
            unauthorized("key_missing", detail)
        })?;
        let origin = || Origin { address: asker.client.to_string(), request: asker.id.as_str().to_owned() };
        match self.service.admit(asker.visit, key, resource, now, origin).await.map_err(internal)? {
            Admission::Admitted(admitted) => Ok(admitted),
            Admission::KeyRejected => Err(unauthorized(
                "key_rejected",
                "This API key is unknown, revoked or expired, or its account is disabled. Use another key.",
            )),
            Admission::ScopeMissing => {
                let detail = "This API key doesn't have the scope proxy. Use a key that has it.";
                Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail))
            }
            Admission::NoSuchResource => Err(no_such_resource()),
            Admission::Unusable => {
                let detail = "Keytile can't build the API's address from this resource's credential. Ask the credential's owner to check it.";
                Err(Problem::new(StatusCode::BAD_GATEWAY, "credential_unusable", detail))
            }
        }
    }

    /// Sends a request by its route.
    async fn pass(&self, admitted: &mut Admitted, head: &mut Parts, body: Incoming, asker: &Asker<'_>) -> Result<Sent, Problem> {
        let route = admitted.route();
        if head.headers.contains_key(header::UPGRADE) {
            let detail = "The proxy doesn't support protocol upgrades. Send the request without the Upgrade header.";
            return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "upgrade_refused", detail));
        }
        let length = body.size_hint().exact();
        let path = self.service.check_request(route, head.method.as_str(), split(head.uri.path()).1, length);
        let path = path.map_err(|refused| not_allowed(route, &refused))?;
        let body = match length {
            Some(length) if length <= KEPT_MAX && body.is_end_stream() => ProxyBody::Kept(Bytes::new()),
            Some(length) if length <= KEPT_MAX => {
                let whole = self.whole(body).await?;
                // What was allowed when the head arrived may have been revoked while the body was read.
                *admitted = self.admit(head, asker, Instant::now()).await?;
                ProxyBody::Kept(whole)
            }
            _ => ProxyBody::Streaming(body),
        };
        let mut call = self.service.trace_call(admitted.route().resource(), &mut head.headers).map(Box::new);
        let forward = Forward { came: head, path: &path, id: asker.id.value(), early: asker.visit.early() };
        let sent = match &call {
            None => self.service.send(admitted, &forward, body).await,
            Some(call) => Box::pin(call.around(self.service.send(admitted, &forward, body))).await,
        };
        if let Some(call) = &mut call {
            call.failed_if(!sent.as_ref().is_ok_and(|sent| sent.answer.status().as_u16() < 500));
        }
        sent.map_err(failed)
    }

    /// A small body, completely.
    async fn whole(&self, body: Incoming) -> Result<Bytes, Problem> {
        // It arrives in a few pieces, so that one time limit for all of it is enough.
        match Box::pin(timeout(self.patience, axum::body::to_bytes(Body::new(body), usize::MAX))).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(_)) | Err(_) => Err(incomplete()),
        }
    }
}

fn end_span(span: &mut OpenSpan, answered: &Result<Sent, Problem>) {
    let status = match answered {
        Ok(sent) => {
            span.say("keytile.tries", SpanValue::Number(sent.tries.into()));
            sent.answer.status()
        }
        Err(problem) => {
            span.say("keytile.outcome", SpanValue::Word(problem.code()));
            problem.status()
        }
    };
    span.say("http.response.status_code", SpanValue::Number(status.as_u16().into()));
    span.failed_if(status.is_server_error());
}

/// The resource segment of a path, and the path below it.
fn split(path: &str) -> (&str, &str) {
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    }
}

/// The resource that a path names. Only accepts the usual format of an id, as pages show it.
fn resource_of(path: &str) -> Option<Uuid> {
    let (resource, _) = split(path);
    (resource.len() == 36).then(|| Uuid::try_parse(resource).ok()).flatten()
}

/// The token of an `Authorization: Bearer` header (RFC 6750 section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

pub(super) fn unauthorized(code: &'static str, detail: &str) -> Problem {
    let challenge = HeaderValue::from_static("Bearer realm=\"keytile\"");
    Problem::new(StatusCode::UNAUTHORIZED, code, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

fn no_such_resource() -> Problem {
    let detail = "There is no data source or destination with this id for this API key. Use the address /proxy/{id}/{path}.";
    Problem::new(StatusCode::NOT_FOUND, "resource_not_found", detail)
}

fn incomplete() -> Problem {
    let detail = "The request body was incomplete or timed out.";
    // The rest of the body could be taken for another request, so the connection is closed.
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_incomplete", detail)
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn too_large(most: u64) -> Problem {
    let detail = format!("The request body is larger than the {most} bytes that this resource's egress policy allows.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn internal(error: crate::service::ServiceError) -> Problem {
    tracing::error!(error = &error as &dyn std::error::Error, "a proxy request failed");
    let detail = "Keytile couldn't look up what this request needs, so it was not sent, or not sent again. Try again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(1)
}

fn not_allowed(route: &Route, refused: &Refused) -> Problem {
    match refused {
        Refused::Path(fault) => {
            Problem::new(StatusCode::BAD_REQUEST, "path_invalid", format!("Keytile doesn't forward this path: {fault}."))
        }
        Refused::Policy(Breach::Method) => {
            let allowed = route.policy().allow();
            let detail =
                format!("The egress policy of this data {} doesn't allow this method. It allows {allowed}.", route.kind().as_str());
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
            match HeaderValue::from_str(&allowed) {
                Ok(allowed) => problem.with_header(header::ALLOW, allowed),
                Err(_) => problem,
            }
        }
        Refused::Policy(Breach::Path) => {
            let detail = "The egress policy of this resource doesn't allow this path.";
            Problem::new(StatusCode::FORBIDDEN, "path_not_allowed", detail)
        }
        Refused::TooLarge => too_large(route.policy().body_max),
        Refused::TooMany { retry_after } => {
            let detail = "This resource has reached the limit of requests per minute in its egress policy. Try again later.";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(*retry_after)
        }
    }
}

fn failed(fault: ProxyFault) -> Problem {
    match fault {
        ProxyFault::NoToken(refusal) => no_token(&refusal),
        ProxyFault::Unusable(diagnosis) => {
            let detail = "Keytile can't build a request with this resource's credential. Ask the credential's owner to check it.";
            Problem::new(StatusCode::BAD_GATEWAY, "credential_unusable", detail).with_diagnosis(told(&diagnosis))
        }
        ProxyFault::Gone => no_such_resource(),
        ProxyFault::Service(error) => internal(error),
        ProxyFault::Forward(fault) => match fault {
            ForwardFault::Unreachable(diagnosis) => {
                let detail = "The service could not be reached, so the request was not sent, or not sent again.";
                Problem::new(StatusCode::BAD_GATEWAY, "upstream_unreachable", detail).with_diagnosis(told(&diagnosis))
            }
            ForwardFault::Busy => {
                let detail = "Too many requests to this service are in progress, so this one was not sent, or not sent again.";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "upstream_busy", detail).retry_after(1)
            }
            ForwardFault::TimedOut => {
                let detail = "The service didn't respond in time. It may have carried out the request.";
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", detail)
            }
            ForwardFault::Broken => {
                let detail = "The connection to the service was lost before it responded. It may have carried out the request.";
                Problem::new(StatusCode::BAD_GATEWAY, "upstream_broken", detail)
            }
            ForwardFault::BodyTooLarge { most } => {
                too_large(most).with_header(header::CONNECTION, HeaderValue::from_static("close"))
            }
            ForwardFault::BodyIncomplete => incomplete(),
        },
    }
}

fn no_token(refusal: &TokenRefusal) -> Problem {
    without_token(refusal.class, &refusal.diagnosis, refusal.retry_in)
}

/// The problem for a service that issues no access token.
pub(super) fn without_token(class: FailureClass, diagnosis: &Diagnosis, retry_in: Duration) -> Problem {
    let seconds = retry_in.as_secs() + u64::from(retry_in.subsec_nanos() > 0);
    let (status, code, detail) = match class {
        FailureClass::Rejected => (
            StatusCode::BAD_GATEWAY,
            "credential_rejected",
            "The service doesn't issue an access token for this resource's credential. Ask the credential's owner to check it.",
        ),
        FailureClass::Limited => {
            (StatusCode::SERVICE_UNAVAILABLE, "token_limited", "The service is limiting access tokens. Try again later.")
        }
        FailureClass::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "token_unavailable",
            "The service isn't issuing access tokens at the moment. Try again later.",
        ),
    };
    Problem::new(status, code, detail).retry_after(seconds.max(1)).with_diagnosis(told(diagnosis))
}

/// What an API client is told about a failure. Fields and the service's own message are only for users who manage
/// the credential, and appear on its page.
fn told(diagnosis: &Diagnosis) -> ProblemDiagnosis {
    ProblemDiagnosis { stage: diagnosis.stage, code: diagnosis.code }
}
