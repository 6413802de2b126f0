//! Sessions: browsers that somebody signed in with. And clearing away what has expired.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{
        audit::Audit,
        time::Timestamp,
        users::{
            Role, UserId, UserState,
            session::{SessionStage, SignInMethod},
        },
    },
    store::{
        Store, StoreError,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        database::{reading, transaction, writing},
        queries,
    },
};

/// A session to be stored.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The hash of what its cookie holds.
    pub hash: [u8; 32],
    /// What names it where it is listed.
    pub id: Uuid,
    /// Whose it is.
    pub owner: UserId,
    /// How far the sign-in has come.
    pub stage: SessionStage,
    /// How somebody signed in.
    pub method: SignInMethod,
    /// The address that it was made from.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends however much it is used.
    pub expires_at: Timestamp,
}

/// A stored session and the account that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// What names it where it is listed.
    pub id: Uuid,
    /// How far the sign-in has come.
    pub stage: SessionStage,
    /// How somebody signed in.
    pub method: SignInMethod,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
    /// When it ends however much it is used.
    pub expires_at: Timestamp,
    /// Whose it is.
    pub owner: UserId,
    /// The e-mail address of the account.
    pub email: String,
    /// The name of the account.
    pub name: String,
    /// The role of the account.
    pub role: Role,
    /// Whether the account can be used.
    pub state: UserState,
    /// Whether the account has a second factor.
    pub has_second_factor: bool,
}

/// A session as its owner sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// What names it.
    pub id: Uuid,
    /// The hash of its cookie, by which the present one is known.
    pub hash: [u8; 32],
    /// How somebody signed in.
    pub method: SignInMethod,
    /// The address that it was made from.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
    /// When it ends however much it is used.
    pub expires_at: Timestamp,
}

/// What a sign-in rests on: what was looked at to let somebody in, and must not have changed until they are.
#[derive(Debug, Clone, Copy)]
pub enum RestsOn<'a> {
    /// An account, as it was at this version.
    Account {
        /// The version.
        version: i64,
        /// The hash of the session before this one, which ends.
        before: Option<&'a [u8; 32]>,
    },
    /// The session of this hash, which was waiting for a code, and ends. What voids the password before it ends it too.
    Waiting(&'a [u8; 32]),
}

/// Stores a session within a transaction.
macro_rules! insert_session {
    ($transaction:expr, $session:expr) => {{
        const INSERT: &str =
            "INSERT INTO sessions (hash, id, owner, stage, method, address, agent, created_at, used_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
        let session: &$crate::store::NewSession = $session;
        let insert = sqlx::query(INSERT)
            .bind(&session.hash[..])
            .bind(session.id)
            .bind(session.owner)
            .bind(session.stage.as_str())
            .bind(session.method.as_str())
            .bind(&session.address)
            .bind(&session.agent)
            .bind(session.created_at.as_millis())
            .bind(session.expires_at.as_millis());
        insert.execute(&mut *$transaction).await?;
    }};
}
pub(in crate::store) use insert_session;

/// The most sessions of one account; the oldest makes room for a new one.
const SESSIONS_MAX: i64 = 100;

impl Store {
    /// Stores the session of a sign-in, in place of the one before it, and when the account was last signed in with. Of
    /// the sessions of an account the newest `SESSIONS_MAX` are kept. False, with nothing changed, if what the sign-in
    /// rests on is not so any more: a password that was reset while it was being checked lets nobody in.
    pub async fn start_session(&self, session: &NewSession, rests_on: RestsOn<'_>, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const END: &str = "DELETE FROM sessions WHERE hash = $1";
        const ACCOUNT: &str = "UPDATE users SET signed_in_at = COALESCE($2, signed_in_at)
            WHERE id = $1 AND state = 'active' AND version = COALESCE($3, version)";
        const OLDEST: &str = "DELETE FROM sessions WHERE owner = $1 AND hash IN
            (SELECT hash FROM sessions WHERE owner = $1 ORDER BY created_at DESC LIMIT 1000 OFFSET $2)";
        let signed_in_at = (session.stage == SessionStage::SignedIn).then_some(session.created_at.as_millis());
        let (version, before, must_end) = match rests_on {
            RestsOn::Account { version, before } => (Some(version), before, false),
            RestsOn::Waiting(hash) => (None, Some(hash), true),
        };
        transaction!(self, transaction => {
            let account = sqlx::query(ACCOUNT).bind(session.owner).bind(signed_in_at).bind(version);
            if account.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            let mut ended = 0;
            if let Some(before) = before {
                ended = sqlx::query(END).bind(&before[..]).execute(&mut *transaction).await?.rows_affected();
            }
            if must_end && ended == 0 {
                return Ok(false);
            }
            insert_session!(transaction, session);
            ended += sqlx::query(OLDEST).bind(session.owner).bind(SESSIONS_MAX).execute(&mut *transaction).await?.rows_affected();
            if ended > 0 {
                bump_access_epoch!(transaction);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// The session of this hash with its account, whether or not it has ended.
    pub async fn session(&self, hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(queries::SESSION).bind(&hash[..]).fetch_optional(pool).await?);
        row.map(SessionRow::try_from).transpose()
    }

    /// Notes that a session was used.
    pub async fn touch_session(&self, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE sessions SET used_at = $2 WHERE hash = $1 AND used_at < $2";
        writing!(self, pool => { sqlx::query(TOUCH).bind(&hash[..]).bind(now.as_millis()).execute(pool).await?; });
        Ok(())
    }

    /// The sessions of an account that are signed in and have not run out, newest first, at most 100.
    /// `unused_since`: one that was not used since then has run out.
    pub async fn sessions_of(
        &self,
        owner: UserId,
        now: Timestamp,
        unused_since: Timestamp,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let rows: Vec<ListedRow> = reading!(self, pool => {
            let lookup = sqlx::query_as(queries::SESSIONS_OF_USER);
            lookup.bind(owner).bind(now.as_millis()).bind(unused_since.as_millis()).fetch_all(pool).await?
        });
        rows.into_iter().map(ListedSession::try_from).collect()
    }

    /// Ends one session of an account. True if there was one.
    pub async fn end_session(&self, owner: UserId, id: Uuid, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const END: &str = "DELETE FROM sessions WHERE owner = $1 AND id = $2";
        transaction!(self, transaction => {
            if sqlx::query(END).bind(owner).bind(id).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Ends all sessions of an account but for one. Answers how many there were.
    pub async fn end_other_sessions(&self, owner: UserId, keep: &[u8; 32], audit: &Audit<'_>) -> Result<u64, StoreError> {
        const END: &str = "DELETE FROM sessions WHERE owner = $1 AND hash <> $2";
        transaction!(self, transaction => {
            let ended = sqlx::query(END).bind(owner).bind(&keep[..]).execute(&mut *transaction).await?.rows_affected();
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(ended)
        })
    }

    /// Deletes drafts, access tokens and links that have expired, sessions that ran out before `ran_out` and
    /// limits of sign-ins that were last counted before `counted`. Answers how many of these there were.
    pub async fn delete_expired(&self, now: Timestamp, expired: ExpiredSessions, counted: Timestamp) -> Result<u64, StoreError> {
        const STATEMENTS: [&str; 3] = [
            "DELETE FROM drafts WHERE expires_at <= $1",
            "DELETE FROM access_tokens WHERE expires_at <= $1",
            "DELETE FROM password_links WHERE expires_at <= $1",
        ];
        const ENDED: &str = "DELETE FROM sessions WHERE expires_at <= $1";
        const UNUSED: &str = "DELETE FROM sessions WHERE used_at <= $1";
        const LIMITS: &str = "DELETE FROM sign_in_limits WHERE updated_at <= $1";
        transaction!(self, transaction => {
            let mut deleted = 0;
            let old = [(ENDED, expired.ended_before), (UNUSED, expired.unused_since), (LIMITS, counted)];
            for (statement, before) in STATEMENTS.map(|statement| (statement, now)).into_iter().chain(old) {
                deleted += sqlx::query(statement).bind(before.as_millis()).execute(&mut *transaction).await?.rows_affected();
            }
            transaction.commit().await?;
            Ok(deleted)
        })
    }
}

/// Which sessions are deleted: those that ended, or were not used, for so long.
#[derive(Debug, Clone, Copy)]
pub struct ExpiredSessions {
    /// They ended before this.
    pub ended_before: Timestamp,
    /// They were not used since this.
    pub unused_since: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    stage: String,
    method: String,
    used_at: i64,
    expires_at: i64,
    owner: Uuid,
    email: String,
    name: String,
    role: String,
    state: String,
    has_second_factor: bool,
}

impl TryFrom<Row> for SessionRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |table, column| StoreError::Row { table, column };
        Ok(Self {
            id: row.id,
            stage: SessionStage::parse(&row.stage).ok_or(wrong("sessions", "stage"))?,
            method: SignInMethod::parse(&row.method).ok_or(wrong("sessions", "method"))?,
            used_at: Timestamp::from_millis(row.used_at),
            expires_at: Timestamp::from_millis(row.expires_at),
            owner: row.owner,
            email: row.email,
            name: row.name,
            role: Role::parse(&row.role).ok_or(wrong("users", "role"))?,
            state: UserState::parse(&row.state).ok_or(wrong("users", "state"))?,
            has_second_factor: row.has_second_factor,
        })
    }
}

#[derive(FromRow)]
struct ListedRow {
    id: Uuid,
    hash: Vec<u8>,
    method: String,
    address: String,
    agent: String,
    created_at: i64,
    used_at: i64,
    expires_at: i64,
}

impl TryFrom<ListedRow> for ListedSession {
    type Error = StoreError;

    fn try_from(row: ListedRow) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "sessions", column };
        Ok(Self {
            id: row.id,
            hash: row.hash.try_into().map_err(|_| wrong("hash"))?,
            method: SignInMethod::parse(&row.method).ok_or(wrong("method"))?,
            address: row.address,
            agent: row.agent,
            created_at: Timestamp::from_millis(row.created_at),
            used_at: Timestamp::from_millis(row.used_at),
            expires_at: Timestamp::from_millis(row.expires_at),
        })
    }
}
