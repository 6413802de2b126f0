//! The listener for Prometheus. It has its own port, so that a client that reads metrics reaches nothing else, and a
//! network can allow Prometheus only. Serves one path, `/metrics`.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header},
};
use hyper::{body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::serve::next;
use crate::{metrics::Format, service::Service, web::limits::HEAD_MAX};

/// The most connections. Prometheus needs one for each of its servers.
const CONNECTIONS_MAX: usize = 16;
/// From the start of a connection to the end of the head.
const HEAD: Duration = Duration::from_secs(10);
/// From the start of a connection to its end.
const WHOLE: Duration = Duration::from_secs(30);

/// The listener, and the source of the metrics.
pub struct ScrapeServer {
    pub listener: TcpListener,
    pub service: Service,
}

impl ScrapeServer {
    /// The address that it listens on, with the actual port.
    pub fn listening(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stopping` is cancelled. Requests in progress are cut off, because metrics are requested again.
    pub async fn serve(self, stopping: CancellationToken) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let tracker = TaskTracker::new();
        let accepting = async {
            loop {
                let (stream, _, permit) = next(&self.listener, &room).await;
                let (service, stopping) = (self.service.clone(), stopping.clone());
                tracker.spawn(async move {
                    stopping.run_until_cancelled(timeout(WHOLE, converse(stream, service))).await;
                    drop(permit);
                });
            }
        };
        stopping.run_until_cancelled(accepting).await;
        tracker.close();
        tracker.wait().await;
    }
}

/// One connection with one request. At this rate a new connection costs nothing, and without keep-alive no limit is
/// needed for idle connections.
async fn converse(stream: TcpStream, service: Service) {
    let answering = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(&request, &service).await) }
    });
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_header_size(HEAD_MAX).keep_alive(false);
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), answering));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a metrics connection ended with an error");
    }
}

async fn answer(request: &Request<Incoming>, service: &Service) -> Response<Body> {
    if request.uri().path() != "/metrics" {
        return with_status(StatusCode::NOT_FOUND);
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let format = format_for(request.headers());
    let mut response = Response::new(Body::from(service.figures(format).await));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// OpenMetrics if the client accepts it, otherwise the Prometheus text format.
fn format_for(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let names_it = |value: &str| value.split(',').any(|kind| kind.trim().starts_with("application/openmetrics-text"));
    if accepted.into_iter().any(names_it) { Format::OpenMetrics } else { Format::Text }
}

fn with_status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
