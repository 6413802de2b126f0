//! Forwarding: a request of a resource goes to the API with the access token, and both bodies stream.
//!
//! Connections go where the guard and the pins allow, over TLS unless a pin says otherwise; here they are kept and used
//! again.
//! An exchange is hyper's; what is decided here is which connection takes a request, whether it may be sent a second
//! time, and how long anybody is waited for.

mod answer;
mod body;
mod connect;
mod headers;
mod pool;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Body as _,
    header::{HeaderMap, HeaderValue, TRANSFER_ENCODING},
    http::uri::PathAndQuery,
};
use secrecy::SecretString;
use tokio::time::timeout;
use url::{Host, Url};

pub use self::{answer::AnswerBody, body::ForwardBody};
use self::{
    body::{Outbound, Watch},
    connect::Link,
    pool::{HostPool, Lease},
};
use super::{
    Upstream,
    api::authorization_headers,
    diagnosis::{InputFault, Subject},
    fault::Fault,
    names::Names,
    token_request::refuse_user_information,
};
use crate::domain::{
    connector::{Connector, template::Context},
    request_path::RequestPath,
    values::FieldValues,
    verification::Diagnosis,
};

/// The API of one credential: where requests go. Cheap to clone.
#[derive(Clone)]
pub struct ApiTarget(Arc<Target>);

struct Target {
    /// What stands in the `Host` header.
    host: HeaderValue,
    /// What paths are appended to: empty, or a path that does not end with `/`.
    base: String,
    /// Parameters of the base URL itself.
    query: Option<String>,
    pool: Arc<HostPool>,
}

/// What each request to an API carries: the authorization, and the headers that the connector names.
pub struct ApiHeaders(HeaderMap);

/// A request to be forwarded.
pub struct Forward<'a> {
    /// The method.
    pub method: Method,
    /// The settled path, below the base URL.
    pub path: &'a RequestPath<'a>,
    /// The query as it came.
    pub query: Option<&'a str>,
    /// The headers as they came.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: ForwardBody,
}

/// Why there is no answer of the API.
#[derive(Debug)]
pub enum ForwardFault {
    /// The API cannot be reached; nothing was sent.
    Unreachable(Box<Diagnosis>),
    /// Too many connections to its host are in use.
    Busy,
    /// No answer began in time.
    TimedOut,
    /// The connection broke before an answer began.
    Broken,
    /// The client sent more than the contract allows.
    BodyTooLarge {
        /// The most bytes that it allows.
        most: u64,
    },
    /// The client's body ended too early, or came too slowly.
    BodyIncomplete,
    /// Path and query make no address.
    Address,
}

/// What all forwarding shares.
pub(super) struct Forwarder {
    names: Arc<Names>,
    tls: tokio_rustls::TlsConnector,
    pools: RwLock<HashMap<(String, u16), Arc<HostPool>>>,
}

impl Forwarder {
    pub(super) fn new(names: Arc<Names>, tls: Arc<rustls::ClientConfig>) -> Self {
        Self { names, tls: tls.into(), pools: RwLock::default() }
    }

    fn pool(&self, host: &Host<&str>, port: u16) -> Arc<HostPool> {
        let key = (host.to_string(), port);
        if let Some(pool) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(pool);
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        let (name, port) = key.clone();
        Arc::clone(pools.entry(key).or_insert_with(|| Arc::new(HostPool::new(name, port))))
    }

    /// Closes connections that nobody has used for a while, and forgets hosts that nobody calls any more.
    pub(super) fn close_idle(&self) {
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| {
            pool.close_idle();
            Arc::strong_count(pool) > 1 || !pool.is_unused()
        });
    }
}

impl Upstream {
    /// Where the requests of a credential go.
    pub fn api_target(&self, connector: &Connector, values: &FieldValues) -> Result<ApiTarget, Box<Diagnosis>> {
        let base = connector.api.base_url.render(&Context::new(connector, values)).map_err(InputFault::from).map_err(boxed)?;
        refuse_user_information(&base, &connector.api.base_url.host_fields()).map_err(boxed)?;
        let unusable = || boxed(InputFault { field: None, reason: "This makes no address of an API.".into() });
        let host = base.host().ok_or_else(unusable)?;
        let named = base.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let target = Target {
            host: HeaderValue::from_str(&named).map_err(|_| unusable())?,
            base: base.path().trim_end_matches('/').to_owned(),
            query: base.query().map(str::to_owned),
            pool: self.forwarder.pool(&host, port_of(&base)),
        };
        Ok(ApiTarget(Arc::new(target)))
    }

    /// What each request of a credential carries with this access token.
    pub fn api_headers(
        &self,
        connector: &Connector,
        values: &FieldValues,
        token: &SecretString,
    ) -> Result<ApiHeaders, Box<Diagnosis>> {
        let context = Context::new(connector, values).with_access_token(token);
        let mut headers = HeaderMap::new();
        authorization_headers(&mut headers, connector, &context).map_err(boxed)?;
        Ok(ApiHeaders(headers))
    }

    /// Sends a request to the API. Its answer streams: it is given as soon as its head is there.
    ///
    /// A request that finds its connection closed is sent again over a new one where that is safe: when nothing of it
    /// was sent, or when it may be repeated (RFC 9110 section 9.2.2) and its body is at hand.
    pub async fn forward(
        &self,
        connector: &Connector,
        target: &ApiTarget,
        authorized: &ApiHeaders,
        forward: Forward<'_>,
    ) -> Result<Response<AnswerBody>, ForwardFault> {
        let target = &*target.0;
        let Forward { method, path, query, headers, body } = forward;
        let again = body.kept().filter(|_| method.is_idempotent()).map(|body| (method.clone(), body));
        let (outbound, watch) = body.into_outbound(self.limits.idle);
        let request = |method: Method, body: Outbound| {
            let uri = address(target, path, query).ok_or(ForwardFault::Address)?;
            Ok(request_to(target, authorized, method, uri, headers, body))
        };
        let mut first_request = request(method, outbound)?;
        if first_request.body().size_hint().exact().is_none() {
            // hyper sends such a body with every method but GET, unless it is told to.
            first_request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let (mut lease, reused) = match target.pool.take().await {
            Some(lease) => (lease, true),
            // What is rare is boxed, so that the future of each request has no room for it: it is moved.
            None => (Box::pin(self.connect(connector, &target.pool)).await?, false),
        };
        let first = match self.exchange(&mut lease, first_request, &watch).await {
            Ok(answer) => {
                // An answer to a body that was broken off is of no interest.
                return watch.fault().map_or_else(|| Ok(self.answer(answer, lease)), Err);
            }
            Err(fault) => fault,
        };
        let second_request = match (first, again) {
            // The connection was closed before anything was sent.
            (Unanswered::Unsent(request), _) => *request,
            // It may have been closed at the same moment.
            (Unanswered::Broken, Some((method, body))) if reused => request(method, Outbound::whole(body))?,
            (Unanswered::TimedOut, _) => return Err(ForwardFault::TimedOut),
            (Unanswered::Broken, _) => return Err(watch.fault().unwrap_or(ForwardFault::Broken)),
        };
        drop(lease);
        let mut lease = Box::pin(self.connect(connector, &target.pool)).await?;
        match self.exchange(&mut lease, second_request, &watch).await {
            Ok(answer) => Ok(self.answer(answer, lease)),
            Err(Unanswered::TimedOut) => Err(ForwardFault::TimedOut),
            Err(_) => Err(watch.fault().unwrap_or(ForwardFault::Broken)),
        }
    }

    /// The head of the answer. Its time begins anew as long as the client's body moves: most services answer only when
    /// they have all of it.
    async fn exchange(
        &self,
        lease: &mut Lease,
        request: Request<Outbound>,
        watch: &Watch,
    ) -> Result<Response<hyper::body::Incoming>, Unanswered> {
        lease.send(request, self.limits.first_byte, || watch.moved()).await
    }

    fn answer(&self, answer: Response<hyper::body::Incoming>, lease: Lease) -> Response<AnswerBody> {
        let (mut head, body) = answer.into_parts();
        headers::settle_answer(&mut head.headers);
        Response::from_parts(head, AnswerBody::new(body, lease, self.limits.idle))
    }

    async fn connect(&self, connector: &Connector, pool: &Arc<HostPool>) -> Result<Lease, ForwardFault> {
        let unreachable = |fault: Fault| ForwardFault::Unreachable(Box::new(Subject::api(connector).of_fault(fault)));
        let Ok(permit) = timeout(self.limits.connect, pool.permit()).await else { return Err(ForwardFault::Busy) };
        let stream = connect::connect(&self.forwarder.names, &self.forwarder.tls, pool.host(), pool.port(), self.limits.connect);
        let lease = match stream.await.map_err(unreachable)? {
            Link::Tls(stream) => pool.lease(*stream, permit).await,
            Link::Clear(stream) => pool.lease(stream, permit).await,
        };
        lease.map_err(|_| ForwardFault::Broken)
    }

    /// How many connections to APIs are in use, and how many wait to be.
    pub fn kept_connections(&self) -> (u64, u64) {
        let pools = self.forwarder.pools.read().unwrap_or_else(PoisonError::into_inner);
        pools.values().fold((0, 0), |(in_use, idle), pool| {
            let (open, waiting) = pool.counts();
            (in_use + open.saturating_sub(waiting), idle + waiting)
        })
    }

    /// Closes connections to APIs that nobody has used for a while.
    pub fn close_idle(&self) {
        self.forwarder.close_idle();
    }
}

fn boxed(fault: InputFault) -> Box<Diagnosis> {
    Box::new(fault.into())
}

/// Why a connection brought no answer.
enum Unanswered {
    /// Nothing was sent.
    Unsent(Box<Request<Outbound>>),
    /// It broke.
    Broken,
    TimedOut,
}

/// Whether an answer says that trying again may help: the service was not able to, or asked for a pause.
pub fn is_worth_retrying(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

fn request_to(
    target: &Target,
    authorized: &ApiHeaders,
    method: Method,
    uri: Uri,
    headers: &HeaderMap,
    body: Outbound,
) -> Request<Outbound> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers::settled(headers, &target.host, &authorized.0);
    request
}

fn port_of(url: &Url) -> u16 {
    url.port().unwrap_or(443)
}

/// Path and query below the base URL, whose own parameters come first.
fn address(target: &Target, path: &RequestPath<'_>, query: Option<&str>) -> Option<Uri> {
    let mut text = String::with_capacity(target.base.len() + path.as_str().len() + query.map_or(0, str::len) + 1);
    text.push_str(&target.base);
    text.push_str(path.as_str());
    let queries = [target.query.as_deref(), query].into_iter().flatten().filter(|query| !query.is_empty());
    for (index, query) in queries.enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(query);
    }
    PathAndQuery::try_from(text).ok().map(Uri::from)
}
