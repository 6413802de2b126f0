//! A host pool keeps connections to one host between requests.
//!
//! A connection has no task of its own: whoever waits for it polls it, so that an exchange needs no switch between
//! tasks. A kept connection belongs to the thread that opened it; other threads take it only when no more may be
//! opened.

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

/// The most open connections to one host.
const CONNECTIONS_MAX: usize = 1_024;
/// The most idle connections in one list.
const IDLE_MAX: usize = 256;
/// How long a connection may be idle, counted from the start of its last request. Servers close theirs after 60
/// seconds or more, so closing first avoids races.
const IDLE: Duration = Duration::from_secs(50);
/// The number of lists of idle connections. The first threads, up to this number, have a list each.
const LISTS: usize = 64;

pub(in crate::upstream) struct HostPool {
    host: String,
    port: u16,
    idle: [Mutex<VecDeque<Idle>>; LISTS],
    room: Arc<Semaphore>,
}

struct Idle {
    connection: Box<Connection>,
    /// When the last request began. The start is used because it is known: reading the clock again at the end costs
    /// time and would change little.
    since: Instant,
}

struct Connection {
    line: Line,
    /// One timer for every wait: moving it costs less than creating one.
    alarm: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

/// A connection in use by one request. Dropping it closes the connection, whatever is in progress on it.
pub(in crate::upstream) struct Lease {
    /// Boxed for its whole life, because it is moved with each request.
    connection: Box<Connection>,
    /// The index of the list that it returns to.
    list: usize,
    pool: Arc<HostPool>,
}

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

    /// An idle connection that can be used, if there is one: the one used last, so that connections that aren't
    /// needed expire.
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
            // The API may have closed it since its last response ended.
            if now.saturating_duration_since(since) < IDLE && connection.line.is_quiet() {
                return Some(Lease { connection, list, pool: Arc::clone(self) });
            }
        }
    }

    /// Waits until one more connection may be opened.
    pub(in crate::upstream) async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            match Arc::clone(&self.room).acquire_owned().await {
                Ok(permit) => return permit,
                // The semaphore is never closed.
                Err(_) => std::future::pending::<()>().await,
            }
        }
    }

    /// Leases a new connection.
    pub(in crate::upstream) fn lease(self: &Arc<Self>, link: Link, permit: OwnedSemaphorePermit) -> Lease {
        let connection = Box::new(Connection { line: Line::new(link), alarm: Box::pin(sleep(IDLE)), _permit: permit });
        Lease { connection, list: own_list(), pool: Arc::clone(self) }
    }

    /// Closes connections that have been idle too long.
    pub(in crate::upstream) fn close_idle(&self) {
        for list in 0..LISTS {
            self.idle(list).retain(|idle| idle.since.elapsed() < IDLE);
        }
    }

    /// The number of open connections, and how many of them are idle.
    pub(in crate::upstream) fn counts(&self) -> (u64, u64) {
        let idle: usize = (0..LISTS).map(|list| self.idle(list).len()).sum();
        ((CONNECTIONS_MAX - self.room.available_permits()) as u64, idle as u64)
    }

    /// True if there is no connection, in use or idle.
    pub(in crate::upstream) fn is_unused(&self) -> bool {
        self.room.available_permits() == CONNECTIONS_MAX
    }

    fn idle(&self, list: usize) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle[list].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(in crate::upstream) fn line(&mut self) -> &mut Line {
        &mut self.connection.line
    }

    /// The timer for whatever the request is waiting for.
    pub(in crate::upstream) fn alarm(&mut self) -> Pin<&mut Sleep> {
        self.connection.alarm.as_mut()
    }

    /// Returns a connection that has nothing in progress. `since` is when its last request began.
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
