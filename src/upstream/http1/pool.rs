//! Connections to one host that are kept between requests.
//!
//! A connection has no task of its own: whoever waits for something of it drives it, so that an exchange needs no switch
//! between tasks. It belongs to the thread that made it; another takes it only when there may be no more.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

use super::{connect::Link, connection::Line};
use crate::threads::thread_number;

/// The most connections to one host at once.
const CONNECTIONS_MAX: usize = 1_024;
/// The most of them that wait for a request.
const IDLE_MAX: usize = 256;
/// How long one waits for a request, from the beginning of the last one. Servers close theirs after 60 s and more;
/// whoever closes first is not surprised.
const IDLE: Duration = Duration::from_secs(50);
/// Kept connections are spread over so many lists. Each of the first so many threads has one to itself.
const LISTS: usize = 64;

/// The connections to one host and port.
pub(in crate::upstream) struct HostPool {
    host: String,
    port: u16,
    idle: [Mutex<VecDeque<Idle>>; LISTS],
    room: Arc<Semaphore>,
}

struct Idle {
    connection: Box<Connection>,
    /// When its last request began: to ask for the time once more when that ended would cost something, and tell little.
    since: Instant,
}

struct Connection {
    line: Line,
    /// One for all that is waited for: to put off an alarm costs less than to set one.
    alarm: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

/// A connection in use by one request. Dropped, it is closed, with whatever is under way on it.
pub(in crate::upstream) struct Lease {
    /// In a box as long as it lives: it is handed on with each request.
    connection: Box<Connection>,
    /// In which list it is kept.
    list: usize,
    pool: Arc<HostPool>,
}

/// The list of this thread.
fn own_list() -> usize {
    thread_number() % LISTS
}

impl HostPool {
    pub(in crate::upstream) fn new(host: String, port: u16) -> Self {
        let idle = std::array::from_fn(|_| Mutex::default());
        Self { host, port, idle, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    pub(in crate::upstream) fn host(&self) -> &str {
        &self.host
    }

    pub(in crate::upstream) fn port(&self) -> u16 {
        self.port
    }

    /// A connection that was kept, if there is one that can be used: the one that was used last, so that those which
    /// are not needed grow old.
    pub(in crate::upstream) fn take(self: &Arc<Self>, now: Instant) -> Option<Lease> {
        let own = own_list();
        self.take_from(own, now).or_else(|| match self.room.available_permits() {
            0 => (0..LISTS).filter(|list| *list != own).find_map(|list| self.take_from(list, now)),
            _ => None,
        })
    }

    fn take_from(self: &Arc<Self>, list: usize, now: Instant) -> Option<Lease> {
        loop {
            let Idle { mut connection, since } = self.idle(list).pop_back()?;
            // Nobody has looked since its last answer ended: the other side may have closed it.
            if now.saturating_duration_since(since) < IDLE && connection.line.is_quiet() {
                return Some(Lease { connection, list, pool: Arc::clone(self) });
            }
        }
    }

    /// Waits until there may be one more connection.
    pub(in crate::upstream) async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            match Arc::clone(&self.room).acquire_owned().await {
                Ok(permit) => return permit,
                // Nobody closes the semaphore.
                Err(_) => std::future::pending::<()>().await,
            }
        }
    }

    /// A new connection.
    pub(in crate::upstream) fn lease(self: &Arc<Self>, link: Link, permit: OwnedSemaphorePermit) -> Lease {
        let connection = Box::new(Connection { line: Line::new(link), alarm: Box::pin(sleep(IDLE)), _permit: permit });
        Lease { connection, list: own_list(), pool: Arc::clone(self) }
    }

    /// Closes what has waited for too long.
    pub(in crate::upstream) fn close_idle(&self) {
        for list in 0..LISTS {
            self.idle(list).retain(|idle| idle.since.elapsed() < IDLE);
        }
    }

    /// How many connections there are, and how many of them wait for a request.
    pub(in crate::upstream) fn counts(&self) -> (u64, u64) {
        let idle: usize = (0..LISTS).map(|list| self.idle(list).len()).sum();
        ((CONNECTIONS_MAX - self.room.available_permits()) as u64, idle as u64)
    }

    /// True while there is no connection, in use or not.
    pub(in crate::upstream) fn is_unused(&self) -> bool {
        self.room.available_permits() == CONNECTIONS_MAX
    }

    fn idle(&self, list: usize) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle[list].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// What goes and comes on it.
    pub(in crate::upstream) fn line(&mut self) -> &mut Line {
        &mut self.connection.line
    }

    /// The alarm of whoever waits for something of it.
    pub(in crate::upstream) fn alarm(&mut self) -> Pin<&mut Sleep> {
        self.connection.alarm.as_mut()
    }

    /// Gives the connection back, on which nothing is under way. The last request on it began at `since`.
    pub(in crate::upstream) fn give_back(self, since: Instant) {
        let Self { mut connection, list, pool } = self;
        connection.line.rest();
        let mut idle = pool.idle(list);
        if idle.len() >= IDLE_MAX {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since });
    }
}
