//! Room for what comes over a connection: how much is read at once, and into which memory.
//!
//! Large answers cost less in large pieces, and whoever reads slowly holds on to a piece for long. So it is few that have
//! large pieces at one time, and who is slow with one has it no longer.

use std::{
    cell::RefCell,
    mem,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How much is read at once at first, in bytes: most answers are smaller.
const FIRST: usize = 4 * 1024;
/// How much is read at once at most by anybody. Also about what a slow reader costs.
const EACH_MAX: usize = 64 * 1024;
/// How much is read at once by the few.
const LARGE: usize = 256 * 1024;
/// How many those are at most.
const LARGE_MAX: usize = 32;
/// How long a piece may take, until the next is read, of whoever is not slow.
const SLOW: Duration = Duration::from_millis(250);
/// How many large pieces of memory a thread keeps for the next answers. Anew from the system, each page of it costs a
/// fault.
const SPARE_MAX: usize = 4;

/// The few. One for all threads: what it bounds is the memory of the process.
static FEW: Semaphore = Semaphore::const_new(LARGE_MAX);

thread_local! {
    /// Large memory that no connection of this thread reads into now. A client may still have to take what is in it.
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// How a connection reads at present: more at once where more comes.
pub(in crate::upstream) struct Room {
    /// How much is read at once without a large piece.
    small: usize,
    /// When the last piece came, of those who may read as much as anybody.
    last: Option<Instant>,
    large: Option<SemaphorePermit<'static>>,
    /// Who may have large pieces.
    few: &'static Semaphore,
}

impl Default for Room {
    fn default() -> Self {
        Self::among(&FEW)
    }
}

impl Room {
    fn among(few: &'static Semaphore) -> Self {
        Self { small: FIRST, last: None, large: None, few }
    }

    /// Makes room for what is read next.
    pub(in crate::upstream) fn make(&mut self, came: &mut BytesMut) {
        if self.large.is_some() && self.is_slow() {
            self.be_small(came);
        }
        // The same memory where nobody holds on to what was in it, and what is left of it where that is not little.
        let at_once = self.at_once();
        if came.try_reclaim(at_once) || came.capacity() - came.len() >= at_once / 4 {
            return;
        }
        let size = at_once + came.len();
        let mut more = self.large.as_ref().and_then(|_| SPARE.with_borrow_mut(Vec::pop)).unwrap_or_default();
        if !more.try_reclaim(size) {
            more = BytesMut::with_capacity(size);
        }
        more.extend_from_slice(came);
        *came = more;
    }

    /// So much was read into the room that there was.
    pub(in crate::upstream) fn has_read(&mut self, read: usize, room: usize) {
        let full = read == room;
        if self.small < EACH_MAX {
            if full {
                self.small *= 4;
            }
            return;
        }
        if full && self.large.is_none() && !self.is_slow() {
            self.large = self.few.try_acquire().ok();
        }
        self.last = Some(Instant::now());
    }

    /// Nobody needs the connection for a while: lets go of the memory that a large answer took.
    pub(in crate::upstream) fn rest(&mut self, came: &mut BytesMut) {
        if self.small > FIRST {
            let memory = mem::take(came);
            if self.large.is_some() {
                keep(memory);
            }
        }
        *self = Self::among(self.few);
    }

    fn at_once(&self) -> usize {
        if self.large.is_some() { LARGE } else { self.small }
    }

    fn is_slow(&self) -> bool {
        self.last.is_some_and(|last| last.elapsed() > SLOW)
    }

    /// From now on reads no more than anybody may.
    fn be_small(&mut self, came: &mut BytesMut) {
        self.large = None;
        let small = BytesMut::from(&came[..]);
        keep(mem::replace(came, small));
    }
}

/// Keeps large memory for the next answers, without what is in it.
fn keep(mut memory: BytesMut) {
    memory.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX {
            spare.push(memory);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection whose answers come as fast as they are read.
    struct Fast {
        room: Room,
        came: BytesMut,
    }

    impl Fast {
        fn among(few: &'static Semaphore) -> Self {
            Self { room: Room::among(few), came: BytesMut::new() }
        }

        /// Reads as much as there is room for, and hands it on. Tells how much that was.
        fn read(&mut self) -> usize {
            self.room.make(&mut self.came);
            let room = self.came.capacity() - self.came.len();
            self.came.resize(self.came.capacity(), 0);
            self.room.has_read(room, room);
            self.came.split().len()
        }

        fn reads(&mut self, times: usize) -> Vec<usize> {
            (0..times).map(|_| self.read()).collect()
        }
    }

    fn few(count: usize) -> &'static Semaphore {
        Box::leak(Box::new(Semaphore::new(count)))
    }

    #[test]
    fn the_more_comes_the_more_is_read_at_once() {
        let mut one = Fast::among(few(1));
        assert_eq!(one.reads(5), [FIRST, 4 * FIRST, EACH_MAX, LARGE, LARGE]);

        let mut other = Fast::among(few(1));
        other.room.make(&mut other.came);
        other.room.has_read(FIRST - 1, FIRST);
        assert_eq!(other.read(), FIRST, "a piece that is not full promises no more");
    }

    #[test]
    fn few_have_large_pieces_at_one_time() {
        let few = few(2);
        let mut connections: Vec<_> = (0..3).map(|_| Fast::among(few)).collect();
        let most = |connection: &mut Fast| connection.reads(5)[4];
        assert_eq!(connections.iter_mut().map(most).collect::<Vec<_>>(), [LARGE, LARGE, EACH_MAX]);

        drop(connections.remove(0));
        assert_eq!(connections[1].reads(2)[1], LARGE, "one has gone");

        let Fast { room, came } = &mut connections[0];
        room.rest(came);
        assert_eq!((came.capacity(), few.available_permits()), (0, 1), "one has all of its answer");
        assert_eq!(connections[0].read(), FIRST);
    }

    #[test]
    fn who_is_slow_has_no_large_piece_any_longer() {
        let few = few(1);
        let mut one = Fast::among(few);
        one.reads(4);
        assert_eq!(few.available_permits(), 0);
        for _ in 0..3 {
            one.room.last = Instant::now().checked_sub(SLOW * 2);
            assert_eq!((one.read(), few.available_permits()), (EACH_MAX, 1));
        }
        assert_eq!(one.reads(2), [EACH_MAX, LARGE], "fast again");
    }

    #[test]
    fn what_has_come_and_is_not_taken_stays() {
        let mut one = Fast::among(few(1));
        one.reads(4);
        one.room.make(&mut one.came);
        one.came.extend_from_slice(b"half a head");
        one.room.last = Instant::now().checked_sub(SLOW * 2);
        one.room.make(&mut one.came);
        assert_eq!(one.came, "half a head");

        // The memory that it stood in is used again, without it.
        let mut other = Fast::among(few(1));
        other.reads(3);
        other.came.extend_from_slice(b"another");
        other.room.make(&mut other.came);
        assert_eq!(other.came, "another");
    }
}
