//! Takes connections and hands their requests to the router, within limits of time, size and number.
//!
//! A client that sends nothing, or too slowly, costs one small task for a few seconds. The parsing of requests is
//! hyper's; `wire` watches the bytes of a connection beside it, and `connection` decides when to end it.

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

/// How long to wait after an accept that failed for want of something, such as file descriptors. Without the pause
/// the loop would spin until somebody lets go of one.
const PAUSE: Duration = Duration::from_millis(100);
/// How many connections are still taken that wait in the system's queue when Keytile stops: as many as it holds.
const QUEUE_MAX: usize = 4_096;

/// A listener with what serves its connections.
pub struct Server {
    /// Where connections come in.
    pub listener: TcpListener,
    /// What answers.
    pub router: Router,
    /// What answers the requests of programs to services.
    pub proxy: Proxy,
    /// How much, how long and how many.
    pub limits: ServingLimits,
    /// The certificate; without one, connections are not encrypted.
    pub certificate: Option<Arc<Certificate>>,
    /// Whose word on the client's address is taken.
    pub trusted: TrustedProxies,
    /// The threads that serve connections. They have to outlast whatever a request has begun there.
    pub workers: Arc<Workers>,
}

impl Server {
    /// Serves until `stop` is ready. Then takes no more connections but those that were made before, ends those on which
    /// nothing is asked, and waits for the answers that are under way, as long as the limits allow.
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
            // From the runtime that has taken it to the one that serves it.
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
        // Those that still wait in the system's queue: their clients have sent what they ask.
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

/// The next connection. It is taken only when there is room for it: until then it waits in the system's queue, and
/// that is no longer than a silent connection is kept.
pub(super) async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let Ok(permit) = room.clone().acquire_owned().await else {
        // Nobody closes the semaphore.
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

/// Whether the error concerns only a connection that has gone again before it was taken.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset | Interrupted)
}

/// A task that ends with the value.
struct Reloading(AbortHandle);

impl Drop for Reloading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn reload(certificate: Arc<Certificate>, interval: Duration) -> Reloading {
    Reloading(tokio::spawn(async move { certificate.keep_fresh(interval).await }).abort_handle())
}
