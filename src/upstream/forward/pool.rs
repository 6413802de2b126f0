//! Connections to one host that are kept between requests.
//!
//! A connection has no task of its own: whoever waits for something of it drives it, so that an exchange needs no switch
//! between tasks. It belongs to the thread that made it; another takes it only when there may be no more.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

use super::{Unanswered, body::Outbound};

/// The most connections to one host at once.
const CONNECTIONS_MAX: usize = 1_024;
/// The most of them that wait for a request.
const IDLE_MAX: usize = 256;
/// How long one waits for a request. Servers close theirs after 60 s and more; whoever closes first is not surprised.
const IDLE: Duration = Duration::from_secs(50);
/// The largest piece that is read at once, in bytes. Also about what one slow reader costs.
const BUFFER_MAX: usize = 64 * 1024;

/// Kept connections are spread over so many lists. Each of the first so many threads has one to itself.
const LISTS: usize = 64;

/// The connections to one host and port.
pub(super) struct HostPool {
    host: String,
    port: u16,
    idle: [Mutex<VecDeque<Idle>>; LISTS],
    room: Arc<Semaphore>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Connection {
    sender: SendRequest<Outbound>,
    /// Reads and writes while it is polled; `None` once it has ended.
    driving: Option<Driving>,
    /// One for all that is waited for: to put off an alarm costs less than to set one.
    alarm: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

type Driving = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Connection {
    /// Reads and writes what can be read and written now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driving) = &mut self.driving
            && let Poll::Ready(ended) = driving.as_mut().poll(cx)
        {
            self.driving = None;
            // Whoever waits for an answer is told of the error as well.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an API ended with an error");
            }
        }
    }
}

/// A connection in use by one request. Dropped, it is closed, with whatever is under way on it.
pub(super) struct Lease {
    connection: Connection,
    /// In which list it is kept.
    list: usize,
    pool: Arc<HostPool>,
}

/// The list of this thread.
fn own_list() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed) % LISTS;
    }
    NUMBER.with(|number| *number)
}

impl HostPool {
    pub(super) fn new(host: String, port: u16) -> Self {
        let idle = std::array::from_fn(|_| Mutex::default());
        Self { host, port, idle, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// A connection that was kept, if there is one that can be used: the one that was used last, so that those which
    /// are not needed grow old.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Lease> {
        let own = own_list();
        if let Some(lease) = self.take_from(own).await {
            return Some(lease);
        }
        if self.room.available_permits() == 0 {
            for other in (0..LISTS).filter(|list| *list != own) {
                if let Some(lease) = self.take_from(other).await {
                    return Some(lease);
                }
            }
        }
        None
    }

    async fn take_from(self: &Arc<Self>, list: usize) -> Option<Lease> {
        loop {
            let Idle { mut connection, since } = self.idle(list).pop_back()?;
            if since.elapsed() >= IDLE {
                continue;
            }
            // Nobody has looked since its last answer ended: the other side may have closed it.
            let is_ready = poll_fn(|cx| {
                connection.drive(cx);
                Poll::Ready(connection.sender.is_ready())
            });
            if is_ready.await {
                return Some(Lease { connection, list, pool: Arc::clone(self) });
            }
        }
    }

    /// Waits until there may be one more connection.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            match Arc::clone(&self.room).acquire_owned().await {
                Ok(permit) => return permit,
                // Nobody closes the semaphore.
                Err(_) => std::future::pending::<()>().await,
            }
        }
    }

    /// A new connection over a stream.
    pub(super) async fn lease<S>(self: &Arc<Self>, stream: S, permit: OwnedSemaphorePermit) -> hyper::Result<Lease>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        let (sender, driving) = builder.max_buf_size(BUFFER_MAX).handshake(TokioIo::new(stream)).await?;
        let alarm = Box::pin(sleep(IDLE));
        let connection = Connection { sender, driving: Some(Box::pin(driving)), alarm, _permit: permit };
        Ok(Lease { connection, list: own_list(), pool: Arc::clone(self) })
    }

    /// Closes what has waited for too long.
    pub(super) fn close_idle(&self) {
        for list in 0..LISTS {
            self.idle(list).retain(|idle| idle.since.elapsed() < IDLE);
        }
    }

    /// How many connections there are, and how many of them wait for a request.
    pub(super) fn counts(&self) -> (u64, u64) {
        let idle: usize = (0..LISTS).map(|list| self.idle(list).len()).sum();
        ((CONNECTIONS_MAX - self.room.available_permits()) as u64, idle as u64)
    }

    /// True while there is no connection, in use or not.
    pub(super) fn is_unused(&self) -> bool {
        self.room.available_permits() == CONNECTIONS_MAX
    }

    fn idle(&self, list: usize) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle[list].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Sends a request and waits for the head of its answer, for `limit` at most. That begins anew as long as what
    /// `moved` tells grows.
    pub(super) async fn send(
        &mut self,
        request: Request<Outbound>,
        limit: Duration,
        moved: impl Fn() -> u64,
    ) -> Result<Response<Incoming>, Unanswered> {
        let connection = &mut self.connection;
        let mut answering = pin!(connection.sender.try_send_request(request));
        let mut seen = moved();
        connection.alarm.as_mut().reset(Instant::now() + limit);
        poll_fn(|cx| {
            connection.drive(cx);
            if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(|mut error| match error.take_message() {
                    Some(request) => Unanswered::Unsent(Box::new(request)),
                    None => Unanswered::Broken,
                }));
            }
            while connection.alarm.as_mut().poll(cx).is_ready() {
                let now = moved();
                if now == seen {
                    return Poll::Ready(Err(Unanswered::TimedOut));
                }
                seen = now;
                connection.alarm.as_mut().reset(Instant::now() + limit);
            }
            Poll::Pending
        })
        .await
    }

    /// Reads and writes what can be read and written now.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        self.connection.drive(cx);
    }

    /// The alarm for whoever waits for the rest of an answer.
    pub(super) fn alarm(&mut self) -> Pin<&mut Sleep> {
        self.connection.alarm.as_mut()
    }

    /// Gives the connection back: its answer has been read to the end.
    pub(super) fn give_back(self) {
        let Self { connection, list, pool } = self;
        if connection.driving.is_none() {
            return;
        }
        let mut idle = pool.idle(list);
        if idle.len() >= IDLE_MAX {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
    }
}
