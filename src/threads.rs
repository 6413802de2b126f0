//! Numbers threads, for data that is split into one part per thread.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of this thread: 0 for the first thread that calls this, and so on. A thread keeps its number.
pub fn thread_number() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_its_number_and_no_other_has_it() {
        let other = thread::spawn(thread_number).join().unwrap();
        assert_eq!(thread_number(), thread_number());
        assert_ne!(thread_number(), other);
    }
}
