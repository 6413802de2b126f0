//! How many token requests one host gets at once. Many credentials of one service may have to be fetched at the same
//! moment, such as after a failure; the service is not to fail again because of that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most token requests to one host at once.
const EACH: usize = 8;

/// The turns of all hosts.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Turns {
    /// Waits for a turn at a host, which lasts until what comes back is dropped.
    pub(super) async fn wait_for(&self, host: &str) -> OwnedSemaphorePermit {
        let turns = {
            let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Hosts that nobody asks are forgotten whenever another one is.
            hosts.retain(|known, turns| known == host || Arc::strong_count(turns) > 1);
            Arc::clone(hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(EACH))))
        };
        match turns.acquire_owned().await {
            Ok(turn) => turn,
            // Nobody closes the semaphore.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn each_host_has_so_many_at_once() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..EACH {
            taken.push(turns.wait_for("a.example").now_or_never().expect("there is room"));
        }
        assert!(turns.wait_for("a.example").now_or_never().is_none());
        assert!(turns.wait_for("b.example").now_or_never().is_some(), "another host is not concerned");
        taken.pop();
        assert!(turns.wait_for("a.example").now_or_never().is_some());
        drop(taken);
        drop(turns.wait_for("b.example").await);
        assert_eq!(turns.0.lock().unwrap().len(), 1, "who is not asked is not remembered");
    }
}
