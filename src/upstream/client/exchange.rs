//! One request and its response, observed stage by stage.
//!
//! Each exchange builds its own client, which takes microseconds because everything expensive is shared. The
//! resolver, the TLS session store and the connector layer therefore belong to this exchange alone, and report its
//! stages: addresses found and checked, handshake started (so the connection is open), handshake done.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use reqwest::{
    Method, Request, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue},
    redirect,
};
use rustls::ClientConfig;
use tokio::{sync::mpsc, time::Instant as Deadline};
use tower::{BoxError, Layer, Service};
use url::Host;
use zeroize::Zeroizing;

use super::{
    fault::{ConnectTimedOut, Fault, FaultKind},
    progress::Progress,
};
use crate::{
    domain::credentials::verification::Stage,
    upstream::egress::{resolver::Names, tls},
};

/// A request, ready to be sent.
pub(in crate::upstream) struct Outgoing {
    pub(in crate::upstream) method: Method,
    pub(in crate::upstream) url: Url,
    pub(in crate::upstream) headers: HeaderMap,
    pub(in crate::upstream) body: Vec<u8>,
}

/// A response that was read to its end or to the limit.
pub(in crate::upstream) struct Answer {
    pub(in crate::upstream) status: u16,
    pub(in crate::upstream) headers: HeaderMap,
    /// Wiped when dropped: the response of a token endpoint contains a token.
    pub(in crate::upstream) body: Zeroizing<Vec<u8>>,
    /// True if the response was longer than the limit.
    pub(in crate::upstream) truncated: bool,
}

/// What to do with a response over the limit, in bytes.
#[derive(Clone, Copy)]
pub(in crate::upstream) enum BodyLimit {
    Refuse(usize),
    CutAt(usize),
}

/// What all exchanges share.
pub(in crate::upstream) struct Exchanger {
    pub(in crate::upstream) names: Arc<Names>,
    pub(in crate::upstream) tls: ClientConfig,
    /// For finding an address, connecting and the TLS handshake together.
    pub(in crate::upstream) connect: Duration,
}

/// A stage that has passed, and when.
type Mark = (Stage, Instant);

impl Exchanger {
    /// Sends a request and reads its response, all before the deadline.
    pub(in crate::upstream) async fn exchange(
        &self,
        outgoing: Outgoing,
        limit: BodyLimit,
        deadline: Deadline,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Fault> {
        // An IP address in place of a host name never reaches a resolver, so it is checked here.
        if let Some(address) = literal_address(&outgoing.url) {
            self.names.check(address).map_err(|fault| Fault { stage: Stage::Address, kind: FaultKind::Name(fault) })?;
            progress.pass(Stage::Address, Instant::now());
        }
        let (marks, mut marked) = mpsc::unbounded_channel();
        let client = self.client(&marks).map_err(|error| Fault::of_client(progress.current(), &error))?;
        let request = self.request(outgoing);
        let mut work = std::pin::pin!(send(client, request, limit));
        let watched = async {
            loop {
                tokio::select! {
                    biased;
                    Some((stage, at)) = marked.recv() => progress.pass(stage, at),
                    result = &mut work => break result,
                }
            }
        };
        let result = tokio::time::timeout_at(deadline, watched).await;
        while let Ok((stage, at)) = marked.try_recv() {
            progress.pass(stage, at);
        }
        let stage = progress.current();
        match result {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Broken::TooLarge)) => Err(Fault { stage, kind: FaultKind::TooLarge }),
            Ok(Err(Broken::Head(error))) => Err(Fault::of_head(stage, &error)),
            Ok(Err(Broken::Body)) => Err(Fault { stage, kind: FaultKind::Cut }),
            Err(_) => Err(Fault::timed_out(stage)),
        }
    }

    fn client(&self, marks: &mpsc::UnboundedSender<Mark>) -> Result<reqwest::Client, reqwest::Error> {
        let begins = marks.clone();
        // Sending fails only once the exchange is over and nobody reads the marks.
        let tls = tls::watched(&self.tls, move || {
            let _ = begins.send((Stage::Connection, Instant::now()));
        });
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(WatchedNames { names: Arc::clone(&self.names), marks: marks.clone() })
            .connector_layer(ConnectWatch { limit: self.connect, marks: marks.clone() })
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .https_only(true)
            .http1_only()
            .referer(false)
            .pool_max_idle_per_host(0)
            .build()
    }

    fn request(&self, outgoing: Outgoing) -> Request {
        let Outgoing { method, mut url, mut headers, body } = outgoing;
        // A port in the URL would override the port of the pin. The pin decides on both, so the port is only named
        // in the Host header.
        if let (Some(port), Some(Host::Domain(host))) = (url.port(), url.host())
            && self.names.pinned(host).is_some()
            && let Ok(named) = HeaderValue::from_str(&format!("{host}:{port}"))
        {
            headers.insert(HOST, named);
            // Fails only for URLs without a host.
            let removed = url.set_port(None);
            debug_assert!(removed.is_ok());
        }
        // Some servers reject such a request without a length (411), even if there is no body.
        if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        request
    }
}

fn literal_address(url: &Url) -> Option<std::net::IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Where an exchange broke off.
enum Broken {
    Head(reqwest::Error),
    /// The body ended too early, for whatever reason.
    Body,
    TooLarge,
}

async fn send(client: reqwest::Client, request: Request, limit: BodyLimit) -> Result<Answer, Broken> {
    let mut response = client.execute(request).await.map_err(Broken::Head)?;
    let (BodyLimit::Refuse(most) | BodyLimit::CutAt(most)) = limit;
    // Allocated in full, because a buffer that grows would leave copies of a token behind.
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(8 * 1024);
    let mut body = Zeroizing::new(Vec::with_capacity(announced.min(most)));
    let mut truncated = false;
    while let Some(chunk) = response.chunk().await.map_err(|_| Broken::Body)? {
        let room = most - body.len();
        if chunk.len() > room {
            if matches!(limit, BodyLimit::Refuse(_)) {
                return Err(Broken::TooLarge);
            }
            body.extend_from_slice(&chunk[..room]);
            truncated = true;
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), body, truncated })
}

/// The resolver of one exchange.
struct WatchedNames {
    names: Arc<Names>,
    marks: mpsc::UnboundedSender<Mark>,
}

impl Resolve for WatchedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, marks) = (Arc::clone(&self.names), self.marks.clone());
        Box::pin(async move {
            let addresses = names.addresses(name.as_str()).await?;
            let _ = marks.send((Stage::Address, Instant::now()));
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The layer around finding the address, connecting and the handshake.
#[derive(Clone)]
struct ConnectWatch {
    limit: Duration,
    marks: mpsc::UnboundedSender<Mark>,
}

impl<S> Layer<S> for ConnectWatch {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, watch: self.clone() }
    }
}

#[derive(Clone)]
struct Watched<S> {
    inner: S,
    watch: ConnectWatch,
}

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        let ConnectWatch { limit, marks } = self.watch.clone();
        Box::pin(async move {
            let connection = tokio::time::timeout(limit, connecting).await.map_err(|_| ConnectTimedOut)??;
            let _ = marks.send((Stage::Tls, Instant::now()));
            Ok(connection)
        })
    }
}
