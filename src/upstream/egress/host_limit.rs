//! Limits how many token requests go to one host at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most token requests to one host at the same time. No service expects more from one client, and a service
/// that hangs can't tie up more.
const EACH: usize = 8;

/// The semaphore of each host that has requests. Hosts without requests are removed.
#[derive(Clone, Default)]
pub(in crate::upstream) struct Hosts(Arc<Mutex<HashMap<String, Arc<Semaphore>>>>);

/// Permission to send a request to a host, until it is dropped.
pub(in crate::upstream) struct HostPermit {
    hosts: Hosts,
    host: String,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Hosts {
    /// Waits for a permit for a host.
    pub(in crate::upstream) async fn turn(&self, host: &str) -> HostPermit {
        let semaphore = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(EACH))))
        };
        // Created before waiting, so that the host is also removed if the caller stops waiting.
        let mut turn = HostPermit { hosts: self.clone(), host: host.to_owned(), semaphore, permit: None };
        // The semaphore is never closed.
        turn.permit = Arc::clone(&turn.semaphore).acquire_owned().await.ok();
        turn
    }
}

impl Drop for HostPermit {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut all = self.hosts.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One reference is the map's and one is this permit's; a third belongs to another request. New references
        // are only created under the lock.
        if Arc::strong_count(&self.semaphore) <= 2 {
            all.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn so_many_at_once_for_each_host_and_none_is_remembered() {
        let hosts = Hosts::default();
        let mut turns = Vec::new();
        for _ in 0..EACH {
            turns.push(hosts.turn("a.example").await);
        }
        assert!(hosts.turn("a.example").now_or_never().is_none());
        assert!(hosts.turn("b.example").now_or_never().is_some());
        let mut waiting = Box::pin(hosts.turn("a.example"));
        assert!(waiting.as_mut().now_or_never().is_none());
        turns.pop();
        let last = waiting.await;
        drop(turns);
        assert_eq!(hosts.0.lock().unwrap().len(), 1);
        drop(last);
        assert!(hosts.0.lock().unwrap().is_empty());
    }
}
