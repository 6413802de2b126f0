//! Forwards a request to the API of a credential, with the access token. Both bodies are streamed.
//!
//! This file decides which connection carries a request, whether the request may be sent a second time, and how
//! long to wait. Connections go where the egress guard and the pins allow, over TLS unless a pin says otherwise,
//! and are kept for reuse.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use secrecy::SecretString;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::{
    exchange::{Exchange, Unanswered},
    headers::RequestHead,
    pool::{HostPool, Lease},
    request::{ApiHeaders, ApiTarget, Forward, ForwardFault, Target},
    request_body::{ForwardBody, Outbound},
    response::Answer,
};
use crate::{
    domain::{
        connectors::{Connector, context::Context},
        credentials::{values::FieldValues, verification::Diagnosis},
        form_errors::FormError,
    },
    upstream::{
        api::authorization_headers,
        client::fault::Fault,
        diagnosis::diagnose::{InputFault, Subject},
        egress::resolver::Names,
        limits::Limits,
        oauth::token_request::refuse_user_information,
    },
};

/// What all forwarding shares.
pub struct Forwarder {
    names: Arc<Names>,
    tls: tokio_rustls::TlsConnector,
    pools: RwLock<HashMap<(String, u16), Arc<HostPool>>>,
    limits: Limits,
}

impl Forwarder {
    pub(in crate::upstream) fn new(names: Arc<Names>, tls: Arc<rustls::ClientConfig>, limits: Limits) -> Self {
        Self { names, tls: tls.into(), pools: RwLock::default(), limits }
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
    pub fn close_idle(&self) {
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| {
            pool.close_idle();
            Arc::strong_count(pool) > 1 || !pool.is_unused()
        });
    }

    /// Where the requests of a credential go.
    pub fn api_target(&self, connector: &Connector, values: &FieldValues) -> Result<ApiTarget, Box<Diagnosis>> {
        let base =
            connector.api.base_url.render(&Context::new(&connector.fields, values)).map_err(InputFault::from).map_err(boxed)?;
        refuse_user_information(&base, &connector.api.base_url.host_fields()).map_err(boxed)?;
        let unusable = || boxed(InputFault { field: None, reason: FormError::NoApiAddress.say() });
        let host = base.host().ok_or_else(unusable)?;
        let named = base.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let target = Target {
            host: HeaderValue::from_str(&named).map_err(|_| unusable())?,
            base: base.path().trim_end_matches('/').to_owned(),
            query: base.query().map(str::to_owned),
            pool: self.pool(&host, port_of(&base)),
        };
        Ok(ApiTarget(Arc::new(target)))
    }

    /// The headers that every request of a credential carries with this access token.
    pub fn api_headers(
        &self,
        connector: &Connector,
        values: &FieldValues,
        token: &SecretString,
    ) -> Result<ApiHeaders, Box<Diagnosis>> {
        let context = Context::new(&connector.fields, values).with_access_token(token);
        let mut headers = HeaderMap::new();
        authorization_headers(&mut headers, connector, &context).map_err(boxed)?;
        Ok(ApiHeaders::new(&headers))
    }

    /// Sends a request to the API, and returns the response as soon as its head has arrived. The body streams.
    ///
    /// If the connection turns out to be closed, the request is sent again over a new one if that is safe: if
    /// nothing of it was sent, or if its method is idempotent (RFC 9110 section 9.2.2) and its body is still in
    /// memory.
    pub async fn forward(
        &self,
        connector: &Connector,
        target: &ApiTarget,
        authorized: &ApiHeaders,
        forward: &Forward<'_>,
        body: ForwardBody,
    ) -> Result<Answer, ForwardFault> {
        let target = &*target.0;
        let Forward { came, early, .. } = *forward;
        let kept = body.kept();
        let (outbound, watch) = body.into_outbound(self.limits.idle);
        let told = outbound.told(&came.method, came.headers.contains_key(CONTENT_LENGTH));
        let head = RequestHead { forward, target, authorized, told };
        let now = Instant::now();
        let (lease, begun, reused) = match target.pool.take(now) {
            Some(lease) => (lease, now, true),
            // Boxed to keep the hot future small: a new connection is rare.
            None => (Box::pin(self.connect(connector, &target.pool)).await?, Instant::now(), false),
        };
        let mut exchange = Exchange::begin(lease, begun, &self.limits, &head, outbound);
        let outbound = match exchange.answer(&watch, early).await {
            // If the client's body broke off, the response to it doesn't matter.
            Ok(()) => return watch.fault().map_or(Ok(Answer::new(exchange)), Err),
            // The connection was closed before anything was sent.
            Err(Unanswered::Unsent(streaming)) => match (streaming, kept) {
                (Some(streaming), _) => Outbound::Streaming(streaming),
                (None, Some(body)) => Outbound::Whole(body),
                (None, None) => return Err(ForwardFault::Broken),
            },
            // A kept connection may have been closed by the API just as the request was sent.
            Err(Unanswered::Broken) => match kept {
                Some(body) if reused && came.method.is_idempotent() => Outbound::Whole(body),
                _ => return Err(watch.fault().unwrap_or(ForwardFault::Broken)),
            },
            Err(Unanswered::TimedOut) => return Err(ForwardFault::TimedOut),
        };
        let lease = Box::pin(self.connect(connector, &target.pool)).await?;
        let mut exchange = Exchange::begin(lease, Instant::now(), &self.limits, &head, outbound);
        match Box::pin(exchange.answer(&watch, early)).await {
            Ok(()) => Ok(Answer::new(exchange)),
            Err(Unanswered::TimedOut) => Err(ForwardFault::TimedOut),
            Err(_) => Err(watch.fault().unwrap_or(ForwardFault::Broken)),
        }
    }

    async fn connect(&self, connector: &Connector, pool: &Arc<HostPool>) -> Result<Lease, ForwardFault> {
        let unreachable = |fault: Fault| ForwardFault::Unreachable(Box::new(Subject::api(connector).of_fault(fault)));
        let Ok(permit) = timeout(self.limits.connect, pool.permit()).await else { return Err(ForwardFault::Busy) };
        let stream = super::connect::connect(&self.names, &self.tls, pool.host(), pool.port(), self.limits.connect);
        Ok(pool.lease(stream.await.map_err(unreachable)?, permit))
    }

    /// The number of connections to APIs that are in use, and the number that are idle.
    pub fn kept_connections(&self) -> (u64, u64) {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        pools.values().fold((0, 0), |(in_use, idle), pool| {
            let (open, waiting) = pool.counts();
            (in_use + open.saturating_sub(waiting), idle + waiting)
        })
    }
}

fn boxed(fault: InputFault) -> Box<Diagnosis> {
    Box::new(fault.into())
}

fn port_of(url: &Url) -> u16 {
    url.port().unwrap_or(443)
}
