//! Usage history: what a credential or resource was used for, by whom, and with which result.
//!
//! Uses are counted in memory (`pending`), and written in one transaction every two seconds, so that no request
//! waits. If the process is killed, what wasn't written yet is lost: at most two seconds, and the time of one
//! write.

pub mod history;
pub(in crate::service) mod pending;

pub use self::history::{HOURS_KEPT, History, HistoryWanted, ShownAccounts, USES_KEPT, WRITTEN_EVERY};
