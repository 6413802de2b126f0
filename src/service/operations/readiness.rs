//! Whether Keytile can work: the database reads and writes, and the keyring opens what was sealed in it.
//!
//! Anyone may ask, as often as they like. So a check reads one row by its key; a write is tried every few seconds
//! at most, shared by all callers; and nobody waits longer than `PATIENCE`. The reason of a failure is logged once,
//! when it begins.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Mutex, time::timeout};

use crate::{
    crypto::{envelope::Place, hash::Fingerprint},
    domain::time::Timestamp,
    service::Service,
    store::StoreError,
};

/// How long to wait for the database.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a successful write is trusted.
const WRITES: Duration = Duration::from_secs(10);
/// How long a failed write is trusted.
const WRITES_NOT: Duration = Duration::from_secs(1);

/// The state of a part of Keytile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// Not checked yet, or impossible to tell.
    Unknown,
    Ok,
    Failing,
}

impl PartState {
    /// The word in the response.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Failing => "failing",
        }
    }

    const ALL: [Self; 3] = [Self::Unknown, Self::Ok, Self::Failing];
}

/// The state of the parts that every request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Reads and writes in time.
    pub database: PartState,
    /// Opens what was sealed in this database. Unknown while the database can't be read.
    pub keyring: PartState,
}

impl Readiness {
    /// True if requests can be served.
    pub fn is_ready(self) -> bool {
        self.database == PartState::Ok && self.keyring == PartState::Ok
    }
}

/// What an instance knows about its parts.
pub(in crate::service) struct Watched {
    database: AtomicU8,
    keyring: AtomicU8,
    /// Locked by the caller that tries a write.
    written: Arc<Mutex<Option<Written>>>,
}

/// The result of the last write.
struct Written {
    at: Timestamp,
    succeeded: bool,
}

impl Written {
    fn holds(&self, now: Timestamp) -> bool {
        let trust = if self.succeeded { WRITES } else { WRITES_NOT };
        // A clock that was set back makes the result older, not newer.
        now >= self.at && now.since(self.at) < trust
    }
}

impl Watched {
    pub(in crate::service) fn new() -> Self {
        Self { database: AtomicU8::new(0), keyring: AtomicU8::new(0), written: Arc::default() }
    }

    fn known(&self) -> Readiness {
        let state = |part: &AtomicU8| PartState::ALL[usize::from(part.load(Ordering::Relaxed))];
        Readiness { database: state(&self.database), keyring: state(&self.keyring) }
    }

    /// Stores the new state and returns the previous one.
    fn replace(&self, found: Readiness) -> Readiness {
        let replace = |part: &AtomicU8, state: PartState| PartState::ALL[usize::from(part.swap(state as u8, Ordering::Relaxed))];
        Readiness { database: replace(&self.database, found.database), keyring: replace(&self.keyring, found.keyring) }
    }
}

/// What is wrong, for the log.
enum Trouble {
    Store(StoreError),
    Silent,
    Writing,
    CheckValue(&'static str),
}

impl Trouble {
    fn log(&self) {
        match self {
            Self::Store(error) => tracing::error!(error = error as &dyn std::error::Error, "not ready: the database fails"),
            Self::Silent => tracing::error!("not ready: the database did not respond within {} s", PATIENCE.as_secs()),
            // The cause was logged by the caller that tried the write.
            Self::Writing => tracing::error!("not ready: the database does not accept writes"),
            Self::CheckValue(reason) => {
                tracing::error!(reason, "not ready: the keyring cannot decrypt the database's check value")
            }
        }
    }
}

impl Service {
    /// Checks whether Keytile can work.
    pub async fn readiness(&self) -> Readiness {
        let (found, trouble) = self.look_at_parts().await;
        let before = self.0.watched.replace(found);
        if found != before {
            match trouble {
                Some(trouble) => trouble.log(),
                None if before.database == PartState::Unknown => {}
                None => tracing::info!("ready again"),
            }
        }
        found
    }

    /// The result of the last check. Never waits.
    pub fn known_readiness(&self) -> Readiness {
        self.0.watched.known()
    }

    async fn look_at_parts(&self) -> (Readiness, Option<Trouble>) {
        use PartState::{Failing, Ok as Well, Unknown};
        let sealed = match timeout(PATIENCE, self.0.store.installation()).await {
            Ok(Ok(sealed)) => sealed,
            Ok(Err(error)) => return (Readiness { database: Failing, keyring: Unknown }, Some(Trouble::Store(error))),
            Err(_) => return (Readiness { database: Failing, keyring: Unknown }, Some(Trouble::Silent)),
        };
        let trouble = self.trouble_with(sealed.as_deref());
        let keyring = if trouble.is_none() { Well } else { Failing };
        match self.can_write().await {
            true => (Readiness { database: Well, keyring }, trouble),
            false => (Readiness { database: Failing, keyring }, Some(trouble.unwrap_or(Trouble::Writing))),
        }
    }

    /// Opens the check value, as startup does.
    fn trouble_with(&self, sealed: Option<&[u8]>) -> Option<Trouble> {
        let Some(sealed) = sealed else { return Some(Trouble::CheckValue("there is none")) };
        match self.0.keyring.open_packed(&Place::installation(), sealed) {
            Ok(value) => Fingerprint::from_key_bytes(&value).is_none().then_some(Trouble::CheckValue("it is damaged")),
            Err(_) => Some(Trouble::CheckValue("it was changed, or sealed by another keyring")),
        }
    }

    async fn can_write(&self) -> bool {
        let Ok(mut last) = timeout(PATIENCE, Arc::clone(&self.0.watched.written).lock_owned()).await else {
            // Another caller has been trying for as long.
            return false;
        };
        let now = self.now();
        if let Some(written) = last.as_ref().filter(|written| written.holds(now)) {
            return written.succeeded;
        }
        let service = self.clone();
        // Runs to its end, so that other callers wait for this write instead of starting their own.
        let trying = self.0.tasks.spawn(async move {
            let tried = service.0.store.try_writing(now).await;
            let succeeded = tried.is_ok();
            if let Err(error) = tried
                && last.as_ref().is_none_or(|before| before.succeeded)
            {
                tracing::error!(error = &error as &dyn std::error::Error, "the database does not accept writes");
            }
            *last = Some(Written { at: service.now(), succeeded });
            succeeded
        });
        matches!(timeout(PATIENCE, trying).await, Ok(Ok(true)))
    }
}
