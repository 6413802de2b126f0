//! Limits password hashing: a few hashes run at the same time, a short queue waits, and beyond that callers get
//! [`Busy`].
//!
//! A hash takes a tenth of a second of one core and 64 MiB. Without a limit, a flood of sign-ins would use up all
//! cores and all memory; with it, the flood waits in its own queue and the rest of Keytile keeps working.

use std::{num::NonZeroUsize, panic, sync::Arc, thread};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

/// The default length of the queue. At a tenth of a second each, the last one waits a few seconds, which is about
/// as long as a person does.
pub const WAITING: usize = 32;

/// Limits the work on passwords. One for the whole process; cheap to clone.
#[derive(Clone)]
pub struct HashingPool {
    /// One permit for each job that runs.
    running: Arc<Semaphore>,
    /// One permit for each job that runs or waits.
    admitted: Arc<Semaphore>,
}

/// A reserved place for one job. Dropping it frees the place.
pub struct Admitted {
    place: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
}

/// Too many jobs are waiting, or Keytile is shutting down: try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at the moment")]
pub struct Busy;

impl HashingPool {
    /// A pool that runs at most `threads` jobs at the same time, with at most `waiting` more in the queue.
    pub fn new(threads: NonZeroUsize, waiting: usize) -> Self {
        let admitted = threads.get().saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        let running = threads.get().min(Semaphore::MAX_PERMITS);
        Self { running: Arc::new(Semaphore::new(running)), admitted: Arc::new(Semaphore::new(admitted)) }
    }

    /// A pool for this machine: half of its cores, so that the other half serves pages, and [`WAITING`].
    pub fn for_this_machine() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new(NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN), WAITING)
    }

    /// Reserves a place before the job is known, so that no preparation is wasted. Returns [`Busy`] without
    /// waiting.
    pub fn admit(&self) -> Result<Admitted, Busy> {
        let place = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| Busy)?;
        Ok(Admitted { place, running: Arc::clone(&self.running) })
    }

    /// Reserves a place and runs `work`: see [`Admitted::run`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        self.admit()?.run(work).await
    }
}

impl Admitted {
    /// Runs `work` on a blocking thread, after the jobs that came before it. Returns [`Busy`] only during shutdown.
    ///
    /// If the caller goes away, a running job continues and keeps its place, and a waiting job is dropped. A panic
    /// of the job is passed on to the caller.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let Self { place, running } = self;
        let running = running.acquire_owned().await.map_err(|_| Busy)?;
        let task = task::spawn_blocking(move || {
            // Owned by the job rather than the caller, so that memory stays limited if the caller goes away.
            let _places = (running, place);
            work()
        });
        task.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            Err(_) => Busy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };
    use tokio::sync::oneshot;

    fn pool(threads: usize, waiting: usize) -> HashingPool {
        HashingPool::new(NonZeroUsize::new(threads).unwrap(), waiting)
    }

    /// Starts a job that reports when it has begun, and ends when it is told to.
    async fn occupy(pool: &HashingPool) -> (mpsc::Sender<()>, task::JoinHandle<Result<(), Busy>>) {
        let (end, ends) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let pool = pool.clone();
        let handle = tokio::spawn(async move {
            let work = move || {
                begin.send(()).unwrap();
                // An error means that the sender is gone, which also ends the job.
                let _ = ends.recv();
            };
            pool.run(work).await
        });
        begun.await.unwrap();
        (end, handle)
    }

    #[tokio::test]
    async fn when_all_places_are_taken_others_are_told_at_once_and_later_ones_are_served() {
        let pool = pool(2, 1);
        let (end_first, first) = occupy(&pool).await;
        let (end_second, second) = occupy(&pool).await;
        let waiting = pool.run(|| "waited");
        tokio::pin!(waiting);
        // Polled once, so that it is in the queue.
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(pool.run(|| "one too many").await, Err(Busy));

        end_first.send(()).unwrap();
        assert_eq!(waiting.await, Ok("waited"));
        assert_eq!(first.await.unwrap(), Ok(()));
        end_second.send(()).unwrap();
        assert_eq!(second.await.unwrap(), Ok(()));
        assert_eq!(pool.run(|| "later").await, Ok("later"));
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_the_place_and_who_runs_keeps_it() {
        let pool = pool(1, 1);
        let (end, running) = occupy(&pool).await;
        {
            let waiting = pool.run(|| ());
            tokio::pin!(waiting);
            assert!(futures_util::poll!(&mut waiting).is_pending());
        }
        // The caller goes away, but the job continues.
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        let next = pool.run(|| "next");
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending());
        assert_eq!(pool.run(|| ()).await, Err(Busy));
        end.send(()).unwrap();
        assert_eq!(next.await, Ok("next"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_run_at_once_than_there_are_places() {
        let pool = pool(2, 100);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = (0..60).map(|_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            pool.run(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            })
        });
        for done in futures_util::future::join_all(work).await {
            assert_eq!(done, Ok(()));
        }
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_frees_the_place() {
        let pool = pool(1, 0);
        let cloned = pool.clone();
        let failed = tokio::spawn(async move { cloned.run(|| panic!("as planned")).await }).await;
        assert!(failed.unwrap_err().is_panic());
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn this_machine_has_at_least_one_place() {
        assert_eq!(HashingPool::for_this_machine().run(|| 7).await, Ok(7));
    }
}
