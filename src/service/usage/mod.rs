//! History: what a credential or resource was used for, by whom, and how that went.
//!
//! Whoever uses one counts it in memory ([`pending`](self)), and every two seconds what was counted is written in one
//! transaction. A request waits for nothing. Whoever kills the process loses what was not written yet: two seconds of
//! it, and the time of one write.

pub mod history;
pub(in crate::service) mod pending;

pub use self::history::{HOURS_KEPT, History, HistoryWanted, ShownAccounts, USES_KEPT, WRITTEN_EVERY};
