//! Following the chain of the audit trail: whether every event is the one that was recorded, and where not.
//!
//! A walk takes the events in their order and is told the end at last. It needs no more than the event before, so
//! that the longest trail is checked in little memory.

use std::{fmt, str::FromStr};

use super::{AuditChain, AuditRecord};

/// An event and its hash. Who notes one elsewhere can tell later whether the trail up to it is still the same, even
/// from somebody who has the keyring. Written as `SEQ:HASH`, the hash in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPoint {
    /// The place of the event; 0 before the first.
    pub seq: i64,
    /// Its hash; zeros before the first.
    pub hash: [u8; 32],
}

impl ChainPoint {
    /// Before the first event.
    pub const BEGINNING: Self = Self { seq: 0, hash: [0; 32] };
}

impl fmt::Display for ChainPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex(&self.hash))
    }
}

impl FromStr for ChainPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected SEQ:HASH as Keytile prints it, such as 42:1f6b…, with 64 hexadecimal digits".to_owned();
        let (seq, digits) = text.trim().split_once(':').ok_or_else(wrong)?;
        let seq = seq.parse().ok().filter(|seq| *seq >= 0).ok_or_else(wrong)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self { seq, hash })
    }
}

/// A hash in hexadecimal.
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a chain breaks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainBreak {
    /// Events are missing.
    Removed {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
    /// An event stands where there is none: before the first.
    Inserted {
        /// Its place.
        seq: i64,
    },
    /// An event is not the one that was recorded there: it was changed, or another was put in its place.
    Changed {
        /// Its place.
        seq: i64,
    },
    /// The last events are missing.
    CutOff {
        /// The last that is there.
        last: i64,
        /// The last that was recorded.
        recorded: i64,
    },
    /// Events follow that were not recorded.
    Added {
        /// The first of them.
        seq: i64,
    },
    /// The note of the end does not belong to the last event.
    OtherEnd {
        /// The last event.
        seq: i64,
    },
    /// The noted event is another one now.
    NotAsNoted {
        /// Its place.
        seq: i64,
    },
    /// The trail ends before the noted event.
    NotedMissing {
        /// The place of the noted event.
        seq: i64,
        /// The last that is there.
        last: i64,
    },
}

impl fmt::Display for ChainBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed { from, to } if from == to => write!(f, "event {from} is missing"),
            Self::Removed { from, to } => write!(f, "events {from} to {to} are missing"),
            Self::Inserted { seq } => write!(f, "event {seq} stands before the first, where Keytile writes none"),
            Self::Changed { seq } => write!(f, "event {seq} was changed, or another was put in its place"),
            Self::CutOff { last: 0, recorded } => write!(f, "all events are missing; event {recorded} was the last"),
            Self::CutOff { last, recorded } => {
                write!(f, "the end is missing: the trail stops at event {last}, and event {recorded} was the last")
            }
            Self::Added { seq } => write!(f, "event {seq} was added behind the end"),
            Self::OtherEnd { seq } => write!(f, "the note of the end does not belong to event {seq}, the last one"),
            Self::NotAsNoted { seq } => write!(
                f,
                "event {seq} is not the one that was noted: everything up to it was written anew, or this is another installation"
            ),
            Self::NotedMissing { seq, last } => {
                write!(f, "the trail stops at event {last}, before the noted event {seq}: its end was cut off")
            }
        }
    }
}

/// A walk along the chain.
pub struct ChainWalk<'a> {
    chain: &'a dyn AuditChain,
    last: ChainPoint,
    noted: Option<ChainPoint>,
}

impl<'a> ChainWalk<'a> {
    /// A walk from the beginning. It makes sure that it comes by `noted`.
    pub fn new(chain: &'a dyn AuditChain, noted: Option<ChainPoint>) -> Self {
        // The point before the first event is the same in every trail.
        Self { chain, last: ChainPoint::BEGINNING, noted: noted.filter(|noted| noted.seq != 0) }
    }

    /// The event that was come by last.
    pub const fn last(&self) -> ChainPoint {
        self.last
    }

    /// Goes on to the next event that is there.
    pub fn step(&mut self, record: &AuditRecord, hash: &[u8; 32]) -> Result<(), ChainBreak> {
        let (expected, seq) = (self.last.seq + 1, record.seq);
        if seq < expected {
            return Err(ChainBreak::Inserted { seq });
        }
        if seq > expected {
            return Err(ChainBreak::Removed { from: expected, to: seq - 1 });
        }
        if self.chain.link(&self.last.hash, &record.to_bytes()) != *hash {
            return Err(ChainBreak::Changed { seq });
        }
        if self.noted.is_some_and(|noted| noted.seq == seq && noted.hash != *hash) {
            return Err(ChainBreak::NotAsNoted { seq });
        }
        self.last = ChainPoint { seq, hash: *hash };
        Ok(())
    }

    /// Ends the walk where no event follows. `recorded` is the end as it was noted with the last event.
    pub fn end(&self, recorded: ChainPoint) -> Result<(), ChainBreak> {
        let last = self.last.seq;
        if recorded.seq > last {
            return Err(ChainBreak::CutOff { last, recorded: recorded.seq });
        }
        if recorded.seq < last {
            return Err(ChainBreak::Added { seq: recorded.seq + 1 });
        }
        if recorded.hash != self.last.hash {
            return Err(ChainBreak::OtherEnd { seq: last });
        }
        match self.noted {
            Some(noted) if noted.seq > last => Err(ChainBreak::NotedMissing { seq: noted.seq, last }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
