//! One connection: the handshake, its requests one after the other, and its end.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header},
};
use hyper::{
    body::Incoming,
    server::conn::http1::{Builder, Connection},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tower::Service as _;

use super::{
    Certificate, ServingLimits,
    signal::Signal,
    wire::{Phase, Progress, Refused, Wire},
};
use crate::{
    service::proxy::Visit,
    web::{
        http::{client_address::TrustedProxies, guarded_body::Holding, response_body::Content},
        limits::{BUFFER_MAX, HEAD_MAX},
        proxy::Proxy,
    },
};

/// The response to an incomplete head. hyper can't produce it, so it is written as bytes.
const HEAD_TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What all connections share.
pub(super) struct Connections {
    pub(super) router: Router,
    pub(super) proxy: Proxy,
    pub(super) limits: ServingLimits,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) trusted: TrustedProxies,
    pub(super) stopping: Signal,
    /// The runtime that renders pages.
    pub(super) main: Handle,
}

/// How a connection ended.
enum End {
    /// hyper has finished: on its own, or because of the client or an error.
    Finished,
    /// The client took too long to send a head, or sent nothing.
    TooSlow,
    /// Keytile is stopping and no request is in progress.
    Stopped,
    /// The connection is idle since this moment, and is parked until something arrives.
    Rests(Instant),
}

/// The future that serves a connection: see [`Connections::welcome`].
type Spoken = Pin<Box<dyn Future<Output = Option<(TcpStream, Instant)>> + Send>>;

impl Connections {
    /// Serves one connection to its end.
    pub(super) async fn serve(self: Arc<Self>, mut stream: TcpStream, peer: SocketAddr) {
        let mut begun = Instant::now();
        let mut deadline = begun + self.limits.head;
        loop {
            // An idle connection takes as little memory as possible: without the state of TLS and hyper. `readable`
            // would not do, because a new connection counts as readable until a read has been tried.
            let mut first = [0];
            let spoken = match self.stopping.unless_given(timeout_at(deadline, stream.peek(&mut first))).await {
                Some(spoken) => spoken,
                // A request that was sent before Keytile stopped still gets a response. It can take a moment to
                // arrive.
                None => timeout(self.limits.last_call, stream.peek(&mut first)).await,
            };
            if !matches!(spoken, Ok(Ok(1))) {
                return;
            }
            let Some((rests, since)) = Arc::clone(&self).spoken(stream, peer, begun).await else { return };
            deadline = since + self.limits.idle;
            stream = rests;
            begun = Instant::now();
        }
    }

    /// Serves a connection on which something has arrived. Boxed to keep the task of a silent connection small.
    fn spoken(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, begun: Instant) -> Spoken {
        Box::pin(self.welcome(stream, peer, begun))
    }

    /// Serves a connection until it ends or becomes idle; then returns it, with the moment since when it is idle.
    async fn welcome(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, begun: Instant) -> Option<(TcpStream, Instant)> {
        // Responses are written whole, so Nagle's algorithm would only delay them.
        stream.set_nodelay(true).ok()?;
        let Some(certificate) = self.certificate.clone() else {
            return self.converse(stream, peer.ip(), begun, true).await;
        };
        let handshake = timeout_at(begun + self.limits.head, certificate.acceptor().accept(stream));
        match self.stopping.unless_given(handshake).await {
            Some(Ok(Ok(stream))) => drop(self.converse(stream, peer.ip(), begun, false).await),
            Some(Ok(Err(error))) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
            Some(Err(_)) => tracing::debug!(%peer, "a client's TLS handshake took too long"),
            None => {}
        }
        None
    }

    async fn converse<S>(self: Arc<Self>, stream: S, peer: IpAddr, begun: Instant, may_rest: bool) -> Option<(S, Instant)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let progress = Progress::new(begun);
        let wire = TokioIo::new(Wire::new(stream, progress.clone(), self.limits.write));
        let mut builder = Builder::new();
        // The times are watched here: hyper's own limit for a head would also apply to an idle connection.
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(HEAD_MAX).max_buf_size(BUFFER_MAX);
        let told = progress.clone();
        let visit = Visit::new(move |status, headers| told.say_early(status, headers));
        let requests = Requests(Arc::new(Conversation { all: self.clone(), progress: progress.clone(), peer, visit }));
        let mut http = builder.serve_connection(wire, requests);
        let end = self.drive(&mut http, &progress, may_rest).await;
        let mut stream = http.into_parts().io.into_inner();
        match end {
            End::Rests(since) => return Some((stream.into_inner(), since)),
            End::TooSlow if progress.has_half_a_head() => {
                let answered = timeout(self.limits.linger, stream.write_all(HEAD_TOO_SLOW)).await;
                if !matches!(answered, Ok(Ok(()))) {
                    return None;
                }
            }
            End::TooSlow | End::Stopped => {
                // Over TLS, this tells the client that nothing was cut off. If it fails, the connection is closed
                // anyway.
                let _ = timeout(self.limits.linger, stream.shutdown()).await;
                return None;
            }
            End::Finished if !progress.has_unread() => return None,
            End::Finished => {}
        }
        // Whatever the result, the connection is closed afterwards.
        let _ = self.stopping.unless_given(timeout(self.limits.linger, drain(stream))).await;
        None
    }

    /// Polls hyper until the connection ends or must be ended.
    async fn drive<S>(&self, http: &mut Connection<TokioIo<Wire<S>>, Requests>, progress: &Progress, may_rest: bool) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stop = pin!(self.stopping.given());
        let mut alarm = pin!(sleep_until(Instant::now() + self.limits.head));
        let mut closing = false;
        poll_fn(|cx| {
            loop {
                // Polled first, so that a request that arrived before the end gets a response.
                if let Poll::Ready(result) = Pin::new(&mut *http).poll(cx) {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a connection ended with an error");
                    }
                    return Poll::Ready(End::Finished);
                }
                let ask_to_stop = !closing && stop.as_mut().poll(cx).is_ready();
                if ask_to_stop && progress.phase().0 == Phase::Head {
                    return Poll::Ready(End::Stopped);
                }
                if closing || !(ask_to_stop || progress.closes_now()) {
                    break;
                }
                closing = true;
                Pin::new(&mut *http).graceful_shutdown();
            }
            // The phase changes only while hyper is polled, so that it is up to date here.
            let (phase, since) = progress.phase();
            let deadline = match phase {
                Phase::Head => since + self.limits.head,
                Phase::Idle if may_rest => since + self.limits.rest.min(self.limits.idle),
                Phase::Idle => since + self.limits.idle,
                // Body and response have their own limits.
                Phase::Answer => return Poll::Pending,
            };
            if alarm.deadline() != deadline {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if may_rest && phase == Phase::Idle && since.elapsed() < self.limits.idle {
                if progress.is_quiet() {
                    return Poll::Ready(End::Rests(since));
                }
                // The client hasn't received all of the response yet.
                alarm.as_mut().reset(since + self.limits.idle);
                return alarm.as_mut().poll(cx).map(|()| End::TooSlow);
            }
            Poll::Ready(End::TooSlow)
        })
        .await
    }
}

/// Closes the writing half, and discards what arrives until the client has noticed.
async fn drain<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = vec![0; 8 * 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The requests of one connection.
struct Requests(Arc<Conversation>);

/// What the requests of one connection share. A reference to the data of all connections would be counted in one
/// place that all threads contend for.
struct Conversation {
    all: Arc<Connections>,
    progress: Progress,
    peer: IpAddr,
    /// The proxy's cache of the connection.
    visit: Visit,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Answer;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Answer>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let Conversation { all, progress, peer, .. } = &*self.0;
        let begun = progress.begin_answer(request.body().size_hint().exact(), request.version() == Version::HTTP_11);
        let end = EndOfAnswer(progress.clone());
        let malformed = match begun {
            Ok(()) => !has_plain_frame(request.headers()),
            Err(Refused::BareLineFeed) => true,
            // An error ends the connection without a response.
            Err(Refused::Pipelined) => {
                tracing::debug!("closed a connection: a request arrived before the last response was finished");
                return Box::pin(async { Err(io::Error::other("a request arrived before the last response was finished")) });
            }
        };
        if malformed {
            tracing::debug!("refused a request with an ambiguous head");
            let mut response = Response::new(Holding::new(Content::Page(Body::empty()), end));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return Box::pin(async { Ok(response) });
        }
        let client = all.trusted.client(*peer, request.headers());
        let conversation = Arc::clone(&self.0);
        if Proxy::takes(&request) {
            let (mut head, body) = request.into_parts();
            return Box::pin(async move {
                let mut response = conversation.all.proxy.answer(&mut head, body, client, &conversation.visit).await;
                if conversation.progress.is_last() {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response.map(|body| Holding::new(body, end)))
            });
        }
        request.extensions_mut().insert(client);
        // API responses are small, and changing threads twice would cost as much as the response.
        let is_of_program = request.uri().path().starts_with("/api/v1/");
        let answering = all.router.clone().call(request.map(Body::new));
        let answering = if is_of_program { Answering::Here(answering) } else { Answering::Elsewhere(all.main.spawn(answering)) };
        Box::pin(async move {
            let Ok(mut response): Result<_, Infallible> = answering.await?;
            if conversation.progress.is_last() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Holding::new(Content::Page(body), end)))
        })
    }
}

/// Work on this runtime, or on another one, where it is aborted if its caller is dropped.
enum Answering<F: Future> {
    Here(F),
    Elsewhere(JoinHandle<F::Output>),
}

impl<F: Future + Unpin> Future for Answering<F> {
    type Output = io::Result<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Here(work) => Pin::new(work).poll(cx).map(Ok),
            Self::Elsewhere(work) => Pin::new(work).poll(cx).map_err(io::Error::other),
        }
    }
}

impl<F: Future> Drop for Answering<F> {
    fn drop(&mut self) {
        if let Self::Elsewhere(work) = self {
            work.abort();
        }
    }
}

/// True if the length of the body is declared in only one way. hyper has already refused what RFC 9112 section 6
/// calls invalid; this also refuses codings that hyper would leave in the body, and a repeated `chunked`.
fn has_plain_frame(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// A response that notices its end.
type Answer = Response<Holding<Content, EndOfAnswer>>;

/// Dropped when a response has ended.
struct EndOfAnswer(Progress);

impl Drop for EndOfAnswer {
    fn drop(&mut self) {
        self.0.end_answer();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_one_plain_frame() {
        let plain = |codings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(header::TRANSFER_ENCODING, HeaderValue::from_static(coding));
            }
            has_plain_frame(&headers)
        };
        assert!(plain(&[]) && plain(&["chunked"]) && plain(&["Chunked"]));
        for odd in [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked", "chunked"], &["identity"], &["chunked;q=1"], &[""]]
        {
            assert!(!plain(odd), "{odd:?}");
        }
    }
}
