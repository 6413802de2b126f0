//! The worker threads, which serve connections: one per core, each with its own runtime.
//!
//! A connection stays on its thread, and so do the connections to services that its requests are forwarded over. So
//! a proxied request never changes threads, which would cost more than all of Keytile's checks. Pages, the database
//! and background work have the main runtime to themselves.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The threads. When this is dropped, they end, with everything that runs there.
pub struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// The number of connections that it serves.
    connections: Arc<AtomicUsize>,
    /// Dropping it ends the thread.
    _running: oneshot::Sender<Infallible>,
}

/// A connection that counts until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts this many threads, at least one.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(|_| Worker::start()).collect::<io::Result<_>>().map(Self)
    }

    /// Serves a connection on the thread that has the fewest.
    pub(super) fn spawn(&self, serving: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed)) else { return };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&worker.connections));
        worker.runtime.spawn(async move {
            serving.await;
            drop(counted);
        });
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<Infallible>();
        let serve = move || {
            // Nothing is ever sent: the thread ends when the sender is dropped.
            let _ = runtime.block_on(ended);
        };
        thread::Builder::new().name("connections".into()).spawn(serve)?;
        Ok(Self { runtime: handle, connections: Arc::default(), _running: running })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_and_end_with_their_threads() {
        let workers = Workers::start(2).unwrap();
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        let (hold, _) = tokio::sync::broadcast::channel::<()>(1);
        for _ in 0..4 {
            let (told, mut held) = (told.clone(), hold.subscribe());
            workers.spawn(async move {
                told.send(thread::current().id()).unwrap();
                let _ = held.recv().await;
            });
        }
        drop(told);
        let mut threads = Vec::new();
        for _ in 0..4 {
            threads.push(tells.recv().await.unwrap());
        }
        let first = threads.iter().filter(|thread| **thread == threads[0]).count();
        assert_eq!((first, threads.contains(&thread::current().id())), (2, false));
        drop(workers);
        assert!(tells.recv().await.is_none(), "what is left on a thread is dropped");
    }
}
