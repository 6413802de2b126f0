//! A signal that is given once, and that many tasks wait for.
//!
//! Every poll of a connection checks whether the signal has been given. That reads one flag here, while polling the
//! cancellation token itself takes locks that all connections share.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The signal. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Signal(Arc<Given>);

#[derive(Default)]
struct Given {
    flag: AtomicBool,
    token: CancellationToken,
}

/// Waits for a signal, within one task.
pub(super) struct Waiting {
    signal: Signal,
    /// Created by the first poll, which also registers the waker of the task.
    wakes: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Signal {
    pub(super) fn give(&self) {
        self.0.flag.store(true, Ordering::SeqCst);
        self.0.token.cancel();
    }

    /// A future that is ready once the signal has been given. It must stay in the task that first polls it.
    pub(super) fn given(&self) -> Waiting {
        Waiting { signal: self.clone(), wakes: None }
    }

    /// The result of `work`, or `None` if it isn't finished when the signal is given. Work that is ready
    /// immediately is done in any case.
    pub(super) async fn unless_given<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut given = self.given();
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            Pin::new(&mut given).poll(cx).map(|()| None)
        })
        .await
    }
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.0.flag.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if self.wakes.is_some() {
            return Poll::Pending;
        }
        let mut wakes = Box::pin(self.signal.0.token.clone().cancelled_owned());
        let woken = wakes.as_mut().poll(cx);
        self.wakes = Some(wakes);
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_of_it_who_waits_or_asks_later() {
        let signal = Signal::default();
        let waits = |signal: &Signal| {
            let signal = signal.clone();
            tokio::spawn(async move { signal.unless_given(std::future::pending::<()>()).await })
        };
        let waiting = [waits(&signal), waits(&signal)];
        assert_eq!(signal.unless_given(async { 7 }).await, Some(7));
        tokio::task::yield_now().await;
        signal.give();
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), None);
        }
        assert_eq!(signal.unless_given(std::future::pending::<()>()).await, None);
        assert_eq!(signal.unless_given(async { 7 }).await, Some(7));
        signal.given().await;
    }
}
