//! Verifies the chain of the audit trail: whether every event is the one that was recorded, and where not.
//!
//! A walk takes the events in order, and the recorded end last. It keeps only the previous event, so the
//! longest trail is checked in constant memory.

use std::{fmt, str::FromStr};

use super::{AuditChain, AuditRecord};

/// An event's position and hash, written as `SEQ:HASH` with the hash in hexadecimal. Keep one outside of
/// Keytile to check later that the trail up to it is unchanged, even by someone who has the keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPoint {
    /// The event's position in the chain; 0 before the first event.
    pub seq: i64,
    /// All zeros before the first event.
    pub hash: [u8; 32],
}

impl ChainPoint {
    /// The point before the first event.
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

/// 64 lower-case digits.
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainBreak {
    /// Events are missing.
    Removed {
        /// The first missing event.
        from: i64,
        /// The last missing event.
        to: i64,
    },
    /// An event comes before the first, or appears twice.
    Inserted { seq: i64 },
    /// The event is not the one that was recorded there: it was changed or replaced.
    Changed { seq: i64 },
    /// The last events are missing.
    CutOff {
        /// The last event that is still there.
        last: i64,
        /// The last event that was recorded.
        recorded: i64,
    },
    /// Events follow the recorded end.
    Added {
        /// The first added event.
        seq: i64,
    },
    /// The recorded end doesn't match the last event.
    OtherEnd {
        /// The last event.
        seq: i64,
    },
    /// The event at the noted position has another hash.
    NotAsNoted { seq: i64 },
    /// The trail ends before the noted event.
    NotedMissing {
        /// The noted event.
        seq: i64,
        /// The last event that is still there.
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

pub struct ChainWalk<'a> {
    chain: &'a dyn AuditChain,
    last: ChainPoint,
    noted: Option<ChainPoint>,
}

impl<'a> ChainWalk<'a> {
    /// Starts before the first event. The walk fails if it doesn't pass through `noted`.
    pub fn new(chain: &'a dyn AuditChain, noted: Option<ChainPoint>) -> Self {
        // Position 0 is the same in every trail, so noting it checks nothing.
        Self { chain, last: ChainPoint::BEGINNING, noted: noted.filter(|noted| noted.seq != 0) }
    }

    /// The event that the last successful step verified.
    pub const fn last(&self) -> ChainPoint {
        self.last
    }

    /// Verifies the next event in the trail against the one before it.
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

    /// Ends the walk after the last event. `recorded` is the end that was stored with the last event.
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
