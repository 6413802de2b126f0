//! The signals that ask a command to stop.

/// Ready when the process is asked to stop: SIGTERM or Ctrl-C. Both are listened for from the call on, not only from the
/// first poll: a signal in between would end the process without a response to anyone.
pub(super) fn asked_to_stop() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            tracing::error!("cannot listen for signals; stop Keytile with SIGKILL");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
