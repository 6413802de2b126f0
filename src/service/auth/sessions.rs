//! Sessions of people who are signed in: found by their cookie, listed, ended.
//!
//! A session ends 12 hours after it was last used and 7 days after it was made. Its id is new at every sign-in
//! and at every rise of rights, so that an id that somebody planted is worth nothing.

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

/// How long a session lives that nobody uses.
pub const IDLE: Duration = Duration::from_secs(12 * 3_600);
/// How long a session lives at most.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long the code of the second factor may take.
const SECOND_FACTOR: Duration = Duration::from_secs(10 * 60);
/// How long a session that ran out is still known, so that what was typed in it can be kept.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
/// How exactly it is known when a session was last used.
const USE_STEP: Duration = Duration::from_secs(60);
/// The most of what a browser calls itself that is kept, in characters.
const AGENT_MAX: usize = 200;

/// A live session.
#[derive(Debug, Clone)]
pub struct Session {
    /// What names it in the list of sessions.
    pub id: Uuid,
    /// Whose it is.
    pub person: Person,
    /// How somebody signed in.
    pub method: SignInMethod,
    /// True where a second factor is required and this account has none: setting one up is all that is left to do.
    pub second_factor_due: bool,
    pub(in crate::service) hash: [u8; 32],
}

/// What a cookie stands for.
#[derive(Debug, Clone)]
pub enum SessionState {
    /// A live session.
    Live(Session),
    /// The password was right, and the code of the second factor is missing.
    SecondFactor(Session),
    /// A session that ran out, not long ago, of an account that can still be used.
    RanOut(Person),
    /// Nothing.
    None,
}

impl Session {
    /// What names its row.
    pub(in crate::service) const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl Service {
    /// What this cookie stands for.
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
        // How strong single sign-on is, its provider decides.
        let second_factor_due = self.requires_second_factor() && row.method != SignInMethod::SingleSignOn && !row.has_second_factor;
        let session = Session { id: row.id, person, method: row.method, second_factor_due, hash };
        Ok(match row.stage {
            SessionStage::SignedIn => SessionState::Live(session),
            SessionStage::SecondFactor => SessionState::SecondFactor(session),
        })
    }

    /// Starts a session of an account in place of the one before it: answers what its cookie has to hold. The caller of
    /// this has made sure that it is this person; `None` if what that rests on was changed meanwhile.
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

    /// A session that is still to be stored, and what its cookie has to hold.
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

    /// Ends the present session.
    pub async fn sign_out(&self, session: &Session, origin: &Origin) -> Result<(), ServiceError> {
        let caller = Caller::person(session.person.clone(), origin.clone());
        let audit = self.done(&caller, AuditAction::SignOut, None);
        self.0.store.end_session(session.person.id, session.id, &audit).await?;
        self.0.epoch.forget();
        Ok(())
    }

    /// The live sessions of somebody, newest first, and whether each is the present one.
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

    /// Ends one of somebody's own sessions. False if there is none of this id.
    pub async fn end_session(&self, present: &Session, id: Uuid, origin: &Origin) -> Result<bool, ServiceError> {
        let caller = Caller::person(present.person.clone(), origin.clone());
        let audit = self.done(&caller, AuditAction::EndSession, target(TargetKind::Session, id, ""));
        let ended = self.0.store.end_session(present.person.id, id, &audit).await?;
        self.0.epoch.forget();
        Ok(ended)
    }

    /// Ends all of somebody's own sessions but the present one.
    pub async fn end_other_sessions(&self, present: &Session, origin: &Origin) -> Result<u64, ServiceError> {
        let caller = Caller::person(present.person.clone(), origin.clone());
        let audit = self.done(&caller, AuditAction::EndSession, None).saying("all others");
        let ended = self.0.store.end_other_sessions(present.person.id, &present.hash, &audit).await?;
        self.0.epoch.forget();
        Ok(ended)
    }

    /// Deletes sessions, drafts, links, counters, access tokens and history whose time is over.
    pub async fn delete_expired(&self) -> Result<(), ServiceError> {
        let now = self.now();
        let expired = ExpiredSessions { ended_before: now.minus(REMEMBERED), unused_since: now.minus(IDLE + REMEMBERED) };
        self.0.store.delete_expired(now, expired, now.minus(COUNTED)).await?;
        self.delete_old_history().await?;
        self.0.upstream.forwarder.close_idle();
        Ok(())
    }
}

/// The remembered row of a session.
pub(in crate::service) type RememberedSession = SessionRow;
