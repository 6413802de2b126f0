//! Browser sessions. Until there are accounts, a session only says which drafts are whose.

use std::time::Duration;

use secrecy::SecretString;

use super::{Service, ServiceError};
use crate::crypto::{hash, random};

/// How long a session lives.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A live session. Only a hash of what its cookie holds.
#[derive(Clone, Copy)]
pub struct Session {
    pub(super) hash: [u8; 32],
}

impl Service {
    /// The session of this cookie, if it is live.
    pub async fn resume_session(&self, cookie: &str) -> Result<Option<Session>, ServiceError> {
        let hash = hash::session_hash(&SecretString::from(cookie));
        let live = self.0.store.session_is_live(&hash, self.now()).await?;
        Ok(live.then_some(Session { hash }))
    }

    /// Starts a session: the session, and what its cookie has to hold.
    pub async fn start_session(&self) -> Result<(Session, SecretString), ServiceError> {
        let cookie = random::url_token();
        let hash = hash::session_hash(&cookie);
        let now = self.now();
        self.0.store.insert_session(&hash, now, now.plus(LIFETIME)).await?;
        Ok((Session { hash }, cookie))
    }
}
