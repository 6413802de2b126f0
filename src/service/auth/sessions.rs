//! Sessions of signed-in users: found by their cookie, listed, ended.
//!
//! A session ends 12 hours after its last use, and at most 7 days after its creation. Its id changes at every
//! sign-in and whenever its user gains rights, so that a planted id is worth nothing (session fixation).

use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    crypto::{hash, random},
    domain::{
        audit::event::{AuditAction, TargetKind},
        users::{
            UserId, UserState,
            session::{SessionStage, SignInMethod},
            sign_in_throttle::COUNTED,
        },
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Origin, Person},
        audit::record::target,
    },
    store::{ExpiredSessions, ListedSession, NewSession, RestsOn, SessionRow},
};

/// How long a session lives without being used.
pub const IDLE: Duration = Duration::from_secs(12 * 3_600);
/// How long a session lives at most.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long the code of the second factor may take.
const SECOND_FACTOR: Duration = Duration::from_secs(10 * 60);
/// How long an expired session is still recognized, so that a form submitted in it can be kept.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
/// The precision of the last use of a session.
const USE_STEP: Duration = Duration::from_secs(60);
/// How much of a browser's `User-Agent` is stored, in characters.
const AGENT_MAX: usize = 200;

#[derive(Debug, Clone)]
pub struct Session {
    /// Identifies the session in the list of sessions. Not the cookie.
    pub id: Uuid,
    pub person: Person,
    pub method: SignInMethod,
    /// True if a second factor is required and the user has none: they can only set one up.
    pub second_factor_due: bool,
    pub(in crate::service) hash: [u8; 32],
}

/// What a session cookie stands for.
#[derive(Debug, Clone)]
pub enum SessionState {
    Live(Session),
    /// The password was correct, and the code of the second factor is missing.
    SecondFactor(Session),
    /// A session that expired recently, of a user who isn't disabled.
    RanOut(Person),
    /// No session.
    None,
}

impl Session {
    /// The hash of the cookie, which is the key of the session's row.
    pub(in crate::service) const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl Service {
    pub async fn resume_session(&self, cookie: &str) -> Result<SessionState, ServiceError> {
        let hash = hash::session_hash(&SecretString::from(cookie));
        let epoch = self.0.epoch.current(&self.0.store).await?;
        let mut row = match self.0.metrics.sessions.counted(self.0.sessions.get(&hash, epoch)) {
            Some(row) => row,
            None => {
                let Some(row) = self.0.store.session(&hash).await? else { return Ok(SessionState::None) };
                self.0.sessions.put(hash, epoch, row.clone());
                row
            }
        };
        let now = self.now();
        let ran_out = row.expires_at <= now || row.used_at.plus(IDLE) <= now;
        let person = Person { id: row.owner, email: row.email.clone(), name: row.name.clone(), role: row.role };
        match (row.state, row.stage) {
            (UserState::Disabled, _) => return Ok(SessionState::None),
            (UserState::Active, SessionStage::SecondFactor) if ran_out => return Ok(SessionState::None),
            (UserState::Active, SessionStage::SignedIn) if ran_out => return Ok(SessionState::RanOut(person)),
            (UserState::Active, _) => {}
        }
        if now.since(row.used_at) >= USE_STEP {
            self.0.store.touch_session(&hash, now).await?;
            row.used_at = now;
            self.0.sessions.put(hash, epoch, row.clone());
        }
        // The strength of single sign-on is up to its provider.
        let second_factor_due = self.requires_second_factor() && row.method != SignInMethod::SingleSignOn && !row.has_second_factor;
        let session = Session { id: row.id, person, method: row.method, second_factor_due, hash };
        Ok(match row.stage {
            SessionStage::SignedIn => SessionState::Live(session),
            SessionStage::SecondFactor => SessionState::SecondFactor(session),
        })
    }

    /// Starts a session that replaces the previous one, and returns the value of its cookie. The caller must have
    /// authenticated the user; `None` if what that was based on has changed in the meantime.
    pub(in crate::service) async fn start_session(
        &self,
        caller: &Caller,
        owner: &Person,
        stage: SessionStage,
        method: SignInMethod,
        agent: &str,
        rests_on: RestsOn<'_>,
    ) -> Result<Option<SecretString>, ServiceError> {
        let (cookie, session) = self.new_session(&caller.origin, owner.id, stage, method, agent);
        let signed_in = Caller::person(owner.clone(), caller.origin.clone());
        let detail = match (method, stage) {
            (_, SessionStage::SecondFactor) => "password accepted; the code is still missing",
            (SignInMethod::Password, _) => "with password",
            (SignInMethod::SingleSignOn, _) => "with single sign-on",
            (SignInMethod::Link, _) => "with a link",
        };
        let audit = self.done(&signed_in, AuditAction::SignIn, target(TargetKind::User, owner.id, &owner.email)).saying(detail);
        let started = self.0.store.start_session(&session, rests_on, &audit).await?;
        self.0.epoch.forget();
        if !started {
            tracing::warn!(user = %owner.id, "a sign-in was cancelled: its account changed in the meantime");
        }
        Ok(started.then_some(cookie))
    }

    /// A session that isn't stored yet, and the value of its cookie.
    pub(in crate::service) fn new_session(
        &self,
        origin: &Origin,
        owner: UserId,
        stage: SessionStage,
        method: SignInMethod,
        agent: &str,
    ) -> (SecretString, NewSession) {
        let cookie = random::url_token();
        let now = self.now();
        let lifetime = match stage {
            SessionStage::SignedIn => LIFETIME,
            SessionStage::SecondFactor => SECOND_FACTOR,
        };
        let session = NewSession {
            hash: hash::session_hash(&cookie),
            id: self.new_id(),
            owner,
            stage,
            method,
            address: origin.address.clone(),
            agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX).collect(),
            created_at: now,
            expires_at: now.plus(lifetime),
        };
        (cookie, session)
    }

    pub async fn sign_out(&self, session: &Session, origin: &Origin) -> Result<(), ServiceError> {
        let caller = Caller::person(session.person.clone(), origin.clone());
        let audit = self.done(&caller, AuditAction::SignOut, None);
        self.0.store.end_session(session.person.id, session.id, &audit).await?;
        self.0.epoch.forget();
        Ok(())
    }

    /// The user's live sessions, newest first, and whether each is the current one.
    pub async fn sessions(&self, present: &Session) -> Result<Vec<(ListedSession, bool)>, ServiceError> {
        let sessions = self.live_sessions(present.person.id).await?;
        Ok(sessions
            .into_iter()
            .map(|session| {
                let own = session.hash == present.hash;
                (session, own)
            })
            .collect())
    }

    pub(in crate::service) async fn live_sessions(&self, owner: UserId) -> Result<Vec<ListedSession>, ServiceError> {
        let now = self.now();
        let unused_since = now.minus(IDLE);
        Ok(self.0.store.sessions_of(owner, now, unused_since).await?)
    }

    /// Ends one of the user's own sessions. False if there is none with this id.
    pub async fn end_session(&self, present: &Session, id: Uuid, origin: &Origin) -> Result<bool, ServiceError> {
        let caller = Caller::person(present.person.clone(), origin.clone());
        let audit = self.done(&caller, AuditAction::EndSession, target(TargetKind::Session, id, ""));
        let ended = self.0.store.end_session(present.person.id, id, &audit).await?;
        self.0.epoch.forget();
        Ok(ended)
    }

    /// Ends all of the user's own sessions except the current one. Returns how many.
    pub async fn end_other_sessions(&self, present: &Session, origin: &Origin) -> Result<u64, ServiceError> {
        let caller = Caller::person(present.person.clone(), origin.clone());
        let audit = self.done(&caller, AuditAction::EndSession, None).saying("all others");
        let ended = self.0.store.end_other_sessions(present.person.id, &present.hash, &audit).await?;
        self.0.epoch.forget();
        Ok(ended)
    }

    /// Deletes expired sessions, drafts, links, counters, access tokens and history.
    pub async fn delete_expired(&self) -> Result<(), ServiceError> {
        let now = self.now();
        let expired = ExpiredSessions { ended_before: now.minus(REMEMBERED), unused_since: now.minus(IDLE + REMEMBERED) };
        self.0.store.delete_expired(now, expired, now.minus(COUNTED)).await?;
        self.delete_old_history().await?;
        self.0.upstream.forwarder.close_idle();
        Ok(())
    }
}

pub(in crate::service) type RememberedSession = SessionRow;
