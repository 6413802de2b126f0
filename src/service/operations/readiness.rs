//! Whether Keytile can do its work: the database reads and writes, and the keyring opens what was sealed in it.
//!
//! Anybody may ask, as often as they like. So an answer costs one row, read by its key; a writing is tried every few
//! seconds at most, by one of all who ask; and nobody waits for longer than `PATIENCE`. Why something fails is
//! logged, once for each time that it begins to.

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

/// How long an answer of the database is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is believed that the database takes what is written.
const WRITES: Duration = Duration::from_secs(10);
/// How long it is believed that it does not.
const WRITES_NOT: Duration = Duration::from_secs(1);

/// How a part of Keytile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// Nobody has looked yet, or it cannot be told.
    Unknown,
    /// It does its work.
    Ok,
    /// It does not.
    Failing,
}

impl PartState {
    /// The word that is answered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Failing => "failing",
        }
    }

    const ALL: [Self; 3] = [Self::Unknown, Self::Ok, Self::Failing];
}

/// How the parts are without which nothing can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Reads and writes in time.
    pub database: PartState,
    /// Opens what was sealed in this database. Unknown while nothing can be read from it.
    pub keyring: PartState,
}

impl Readiness {
    /// Whether requests can be answered.
    pub fn is_ready(self) -> bool {
        self.database == PartState::Ok && self.keyring == PartState::Ok
    }
}

/// What an instance knows of its parts.
pub(in crate::service) struct Watched {
    database: AtomicU8,
    keyring: AtomicU8,
    /// Held by whoever tries to write.
    written: Arc<Mutex<Option<Written>>>,
}

/// How the last try to write went.
struct Written {
    at: Timestamp,
    succeeded: bool,
}

impl Written {
    fn holds(&self, now: Timestamp) -> bool {
        let trust = if self.succeeded { WRITES } else { WRITES_NOT };
        // A clock that was set back makes it older, not newer.
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

    /// Keeps what was found; answers what was known before.
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
            // Its cause was logged by whoever tried.
            Self::Writing => tracing::error!("not ready: the database does not accept writes"),
            Self::CheckValue(reason) => {
                tracing::error!(reason, "not ready: the keyring cannot decrypt the database's check value")
            }
        }
    }
}

impl Service {
    /// Looks whether Keytile can do its work.
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

    /// What was found when somebody last looked. Waits for nothing.
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

    /// Opens the check value, as the start does.
    fn trouble_with(&self, sealed: Option<&[u8]>) -> Option<Trouble> {
        let Some(sealed) = sealed else { return Some(Trouble::CheckValue("there is none")) };
        match self.0.keyring.open_packed(&Place::installation(), sealed) {
            Ok(value) => Fingerprint::from_key_bytes(&value).is_none().then_some(Trouble::CheckValue("it is damaged")),
            Err(_) => Some(Trouble::CheckValue("it was changed, or sealed by another keyring")),
        }
    }

    async fn can_write(&self) -> bool {
        let Ok(mut last) = timeout(PATIENCE, Arc::clone(&self.0.watched.written).lock_owned()).await else {
            // Somebody has been trying for as long.
            return false;
        };
        let now = self.now();
        if let Some(written) = last.as_ref().filter(|written| written.holds(now)) {
            return written.succeeded;
        }
        let service = self.clone();
        // To its end, so that others who ask wait for this try and begin none of their own.
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
