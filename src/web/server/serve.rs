//! Accepts connections and spreads them over the workers, until the server stops.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, yield_now},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{certificate::Certificate, connection::Connections, signal::Signal, workers::Workers};
use crate::web::{http::client_address::TrustedProxies, limits::ServingLimits, proxy::Proxy};

/// How long to wait after a failed accept, for example when file descriptors run out. Without the pause, the loop
/// would spin until one is freed.
const PAUSE: Duration = Duration::from_millis(100);
/// The most connections still accepted from the system's queue when Keytile stops: as many as it holds.
const QUEUE_MAX: usize = 4_096;

/// A listener, and everything that serves its connections.
pub struct Server {
    pub listener: TcpListener,
    pub router: Router,
    /// Handles the requests that API clients send to services.
    pub proxy: Proxy,
    pub limits: ServingLimits,
    /// The certificate; without one, connections are not encrypted.
    pub certificate: Option<Arc<Certificate>>,
    /// The reverse proxies that are trusted to name the client address.
    pub trusted: TrustedProxies,
    /// The threads that serve connections. They must outlive whatever a request has started there.
    pub workers: Arc<Workers>,
}

impl Server {
    /// Serves until `stop` is ready. Then accepts only connections that were opened before, closes idle ones, and
    /// waits for responses in progress, as long as the limits allow.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let tracker = TaskTracker::new();
        let (stopping, cut_off) = (Signal::default(), Signal::default());
        let reloading = self.certificate.clone().map(|certificate| reload(certificate, self.limits.certificate_interval));
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let connections = Arc::new(Connections {
            router: self.router,
            proxy: self.proxy,
            limits: self.limits.clone(),
            certificate: self.certificate,
            trusted: self.trusted,
            stopping: stopping.clone(),
            main: Handle::current(),
        });
        let take_next = async || {
            let (stream, peer, permit) = next(&self.listener, &room).await;
            // Moves the stream from the runtime that accepted it to the one that serves it.
            let Ok(stream) = stream.into_std() else { return };
            let (connections, cut_off) = (connections.clone(), cut_off.clone());
            self.workers.spawn(tracker.track_future(async move {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    cut_off.unless_given(connections.serve(stream, peer)).await;
                }
                drop(permit);
            }));
        };
        tokio::select! {
            () = stop => {}
            () = async { loop { take_next().await } } => {}
        }
        // Connections still in the system's queue: their clients may have sent a request.
        for _ in 0..QUEUE_MAX {
            if timeout(Duration::ZERO, take_next()).await.is_err() {
                break;
            }
            yield_now().await;
        }
        drop(self.listener);
        drop(reloading);
        stopping.give();
        tracker.close();
        if timeout(self.limits.stopping, tracker.wait()).await.is_err() {
            tracing::warn!("requests were still in progress after {} s and were cut off", self.limits.stopping.as_secs());
            cut_off.give();
            tracker.wait().await;
        }
    }
}

/// The next connection. It is accepted only when there is room for it; until then it waits in the system's queue,
/// no longer than a silent connection is kept.
pub(super) async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let Ok(permit) = room.clone().acquire_owned().await else {
        // The semaphore is never closed.
        return std::future::pending().await;
    };
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "cannot accept connections at the moment");
                }
                failing = true;
                sleep(PAUSE).await;
            }
        }
    }
}

/// True if the error only concerns a connection that was closed before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset | Interrupted)
}

/// A task that is aborted when this value is dropped.
struct Reloading(AbortHandle);

impl Drop for Reloading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn reload(certificate: Arc<Certificate>, interval: Duration) -> Reloading {
    Reloading(tokio::spawn(async move { certificate.keep_fresh(interval).await }).abort_handle())
}
