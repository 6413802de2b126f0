//! A progress line on standard error, for work that takes longer than a second. Only on a terminal, and erased at
//! the end.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
    time::Duration,
};

use terminal_size::{Width, terminal_size_of};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{output::fitted, text::plain};

const SECOND: Duration = Duration::from_secs(1);
/// The width of a terminal that doesn't report it.
const WIDTH: usize = 80;

/// Waits for `work`, and shows `doing` if that takes longer than a second.
pub(super) async fn during<T>(doing: &str, work: impl Future<Output = T>) -> T {
    watch(work, |seconds| format!("{doing}… {seconds} s")).await
}

/// The same with text that changes with the elapsed seconds.
pub(super) async fn watch<T>(work: impl Future<Output = T>, words: impl Fn(u64) -> String) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let began = Instant::now();
    let mut tick = interval_at(began + SECOND, SECOND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut work = pin!(work);
    let mut line = Line::new(io::stderr(), terminal_size_of(io::stderr()).map_or(WIDTH, |(Width(width), _)| usize::from(width)));
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = tick.tick() => line.show(&words(began.elapsed().as_secs())),
        }
    }
}

/// A line that is overwritten, and erased when it is dropped. Erased with spaces, which work on every terminal.
struct Line<W: Write> {
    output: W,
    width: usize,
    shown: bool,
}

impl<W: Write> Line<W> {
    fn new(output: W, width: usize) -> Self {
        // A line as wide as the terminal would wrap, and could not be erased.
        Self { output, width: width.saturating_sub(1), shown: false }
    }

    fn show(&mut self, words: &str) {
        self.shown = true;
        let _ = write!(self.output, "\r{}", fitted(&plain(words), self.width)).and_then(|()| self.output.flush());
    }
}

impl<W: Write> Drop for Line<W> {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(self.output, "\r{}\r", " ".repeat(self.width)).and_then(|()| self.output.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_and_is_erased() {
        let mut written = Vec::new();
        let mut line = Line::new(&mut written, 12);
        line.show("Verifying it… 1 s");
        line.show("Done… 2 s");
        drop(line);
        assert_eq!(String::from_utf8(written).unwrap(), "\rVerifying …\rDone… 2 s  \r           \r");
    }

    #[test]
    fn what_was_never_shown_is_not_erased() {
        let mut written = Vec::new();
        drop(Line::new(&mut written, 12));
        assert!(written.is_empty());
    }
}
