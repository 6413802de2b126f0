//! The read-only connections to SQLite.
//!
//! sqlx's pool tests each connection when it's returned. A SQLite connection has its own thread, so the test
//! costs as much as a small statement: two thread switches. Connections whose statement succeeded are
//! therefore kept outside of the pool, and only the others go back to it.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Connections to a database file that can't write to it.
#[derive(Clone)]
pub(super) struct Readers(Arc<Inner>);

struct Inner {
    pool: SqlitePool,
    /// As many permits as the pool may have connections, so that every holder of a permit finds a connection.
    room: Semaphore,
    kept: Mutex<Vec<PoolConnection<Sqlite>>>,
}

/// A connection in use. Goes back to the pool when dropped, unless [`Reader::keep`] is called.
pub(super) struct Reader<'a> {
    connection: PoolConnection<Sqlite>,
    readers: &'a Inner,
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) fn new(pool: SqlitePool) -> Self {
        let room = Semaphore::new(pool.options().get_max_connections() as usize);
        Self(Arc::new(Inner { pool, room, kept: Mutex::default() }))
    }

    /// Waits for a free connection, for as long as the pool would. Fails when the readers are closed.
    pub(super) async fn take(&self) -> Result<Reader<'_>, sqlx::Error> {
        let readers = &*self.0;
        let permit = match readers.room.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout(self.patience(), readers.room.acquire()).await {
                Ok(permit) => permit.map_err(|_| sqlx::Error::PoolClosed)?,
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
            },
        };
        let kept = readers.kept().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => readers.pool.acquire().await?,
        };
        Ok(Reader { connection, readers, _permit: permit })
    }

    fn patience(&self) -> Duration {
        self.0.pool.options().get_acquire_timeout()
    }

    /// Connections in use, idle connections, and the maximum.
    pub(super) fn counts(&self) -> [u64; 3] {
        let (pool, most) = (&self.0.pool, u64::from(self.0.pool.options().get_max_connections()));
        let in_use = most - self.0.room.available_permits() as u64;
        [in_use, u64::from(pool.size()).saturating_sub(in_use), most]
    }

    /// Waits for running statements and closes every connection.
    pub(super) async fn close(&self) {
        self.0.room.close();
        drop(std::mem::take(&mut *self.0.kept()));
        self.0.pool.close().await;
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Vec<PoolConnection<Sqlite>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// Keeps the connection for the next statement. Call it after a successful statement only.
    pub(super) fn keep(self) {
        let Self { connection, readers, _permit } = self;
        let mut kept = readers.kept();
        // After the semaphore is closed, `close` has taken or will take every kept connection.
        if !readers.room.is_closed() {
            kept.push(connection);
        }
    }
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    fn readers(most: u32, patience: Duration) -> Readers {
        let options = SqliteConnectOptions::new().in_memory(true);
        let pool = SqlitePoolOptions::new().max_connections(most).acquire_timeout(patience).idle_timeout(None);
        Readers::new(pool.connect_lazy_with(options))
    }

    /// Which connection it is: each has its own tables in memory.
    async fn is_marked(reader: &mut Reader<'_>) -> bool {
        sqlx::query("SELECT * FROM mark").fetch_optional(&mut **reader).await.is_ok()
    }

    async fn mark(reader: &mut Reader<'_>) {
        sqlx::query("CREATE TABLE mark (x)").execute(&mut **reader).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_went_well_is_used_again_and_never_by_two() {
        let readers = readers(2, Duration::from_secs(60));
        let mut one = readers.take().await.unwrap();
        mark(&mut one).await;
        assert_eq!(readers.counts(), [1, 0, 2]);
        let mut two = readers.take().await.unwrap();
        assert!(!is_marked(&mut two).await);
        assert_eq!(readers.counts(), [2, 0, 2]);
        one.keep();
        assert_eq!(readers.counts(), [1, 1, 2]);
        assert!(is_marked(&mut readers.take().await.unwrap()).await);
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_connection_that_is_kept() {
        let readers = readers(1, Duration::from_secs(60));
        let one = readers.take().await.unwrap();
        let mut waiting = Box::pin(readers.take());
        assert!((&mut waiting).now_or_never().is_none());
        one.keep();
        waiting.await.unwrap().keep();
        assert_eq!(readers.counts(), [0, 1, 1]);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let readers = readers(1, Duration::from_millis(10));
        let one = readers.take().await.unwrap();
        assert!(matches!(readers.take().await, Err(sqlx::Error::PoolTimedOut)));
        one.keep();
        readers.take().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_given_up_half_way_is_not_kept_and_leaves_room() {
        let readers = readers(1, Duration::from_secs(60));
        let mut one = readers.take().await.unwrap();
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        assert!(sqlx::query(endless).fetch_all(&mut *one).now_or_never().is_none());
        drop(one);
        assert!(readers.0.kept().is_empty());
        let two: i64 = sqlx::query_scalar("SELECT 2").fetch_one(&mut *readers.take().await.unwrap()).await.unwrap();
        assert_eq!(two, 2);
    }

    #[tokio::test]
    async fn closing_waits_for_those_in_use_and_lets_nobody_in() {
        let readers = readers(2, Duration::from_secs(60));
        let (one, two) = (readers.take().await.unwrap(), readers.take().await.unwrap());
        one.keep();
        let mut closing = Box::pin(readers.close());
        assert!((&mut closing).now_or_never().is_none());
        assert!(matches!(readers.take().await, Err(sqlx::Error::PoolClosed)));
        two.keep();
        closing.await;
        assert_eq!(readers.0.pool.size(), 0);
        assert!(readers.0.kept().is_empty());
    }
}
