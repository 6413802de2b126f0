//! The read buffer of a connection: how many bytes are read at a time, and into which memory.
//!
//! Large responses cost less in large reads, but a slow reader keeps its memory for a long time. So only a limited
//! number of connections have large buffers at a time, and a slow one loses its large buffer.

use std::{
    cell::RefCell,
    mem,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The first size of a read, in bytes: most responses are smaller.
const FIRST: usize = 4 * 1024;
/// The largest read without a permit for a large buffer, in bytes. Also about the memory that a slow reader takes.
const EACH_MAX: usize = 64 * 1024;
/// The size of a read with a large buffer, in bytes.
const LARGE: usize = 256 * 1024;
/// The most large buffers at a time.
const LARGE_MAX: usize = 32;
/// The longest time between two reads of a connection that doesn't count as slow.
const SLOW: Duration = Duration::from_millis(250);
/// How many large buffers a thread keeps for later responses. New memory from the system costs a page fault for
/// each page.
const SPARE_MAX: usize = 4;

/// The permits for large buffers, shared by all threads because they limit the memory of the process.
static FEW: Semaphore = Semaphore::const_new(LARGE_MAX);

thread_local! {
    /// Large buffers that no connection of this thread reads into. A client may still hold on to what was read.
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// How a connection reads at present: the more it receives, the more it reads at a time.
pub(in crate::upstream) struct Room {
    /// The size of a read without a large buffer, in bytes.
    small: usize,
    /// The time of the last read; only tracked once `small` has reached its maximum.
    last: Option<Instant>,
    large: Option<SemaphorePermit<'static>>,
    /// The permits for large buffers.
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

    /// Makes room for the next read.
    pub(in crate::upstream) fn make(&mut self, came: &mut BytesMut) {
        if self.large.is_some() && self.is_slow() {
            self.be_small(came);
        }
        // Reuses the memory if nobody holds on to what was in it, or its rest if that isn't small.
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

    /// Records that `read` bytes were read into a buffer with room for `room`.
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

    /// Frees the memory that a large response needed, before the connection becomes idle.
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

    /// Goes back to reads without a large buffer.
    fn be_small(&mut self, came: &mut BytesMut) {
        self.large = None;
        let small = BytesMut::from(&came[..]);
        keep(mem::replace(came, small));
    }
}

/// Keeps a large buffer for later responses, without its content.
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

    /// A connection whose responses arrive as fast as they are read.
    struct Fast {
        room: Room,
        came: BytesMut,
    }

    impl Fast {
        fn among(few: &'static Semaphore) -> Self {
            Self { room: Room::among(few), came: BytesMut::new() }
        }

        /// Fills the room in the buffer and passes it on. Returns the number of bytes.
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

        // The memory is reused, without its content.
        let mut other = Fast::among(few(1));
        other.reads(3);
        other.came.extend_from_slice(b"another");
        other.room.make(&mut other.came);
        assert_eq!(other.came, "another");
    }
}
