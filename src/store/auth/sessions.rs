//! Sessions of signed-in browsers. Also deletes everything that has expired.

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
    /// The hash of the session token, which only the cookie holds.
    pub hash: [u8; 32],
    /// Identifies the session in lists. It isn't the session token.
    pub id: Uuid,
    pub owner: UserId,
    pub stage: SessionStage,
    pub method: SignInMethod,
    /// The IP address that it was started from.
    pub address: String,
    /// The `User-Agent` header.
    pub agent: String,
    pub created_at: Timestamp,
    /// The end of the session, however often it's used.
    pub expires_at: Timestamp,
}

/// A stored session and its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Identifies the session in lists. It isn't the session token.
    pub id: Uuid,
    pub stage: SessionStage,
    pub method: SignInMethod,
    /// Rounded down to the minute.
    pub used_at: Timestamp,
    /// The end of the session, however often it's used.
    pub expires_at: Timestamp,
    pub owner: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub state: UserState,
    pub has_second_factor: bool,
}

/// A session in the list that its owner sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    pub id: Uuid,
    /// The hash of its token, to recognise the current session.
    pub hash: [u8; 32],
    pub method: SignInMethod,
    /// The IP address that it was started from.
    pub address: String,
    /// The `User-Agent` header.
    pub agent: String,
    pub created_at: Timestamp,
    /// Rounded down to the minute.
    pub used_at: Timestamp,
    /// The end of the session, however often it's used.
    pub expires_at: Timestamp,
}

/// The state that a sign-in was checked against. The sign-in fails if it has changed since.
#[derive(Debug, Clone, Copy)]
pub enum RestsOn<'a> {
    /// A user at this version.
    Account {
        version: i64,
        /// The hash of the browser's previous session, which ends.
        before: Option<&'a [u8; 32]>,
    },
    /// The session with this hash, which was waiting for a code and ends now. It has already ended if the
    /// password has become invalid meanwhile.
    Waiting(&'a [u8; 32]),
}

/// Stores a session, in a transaction.
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

/// The most sessions of one user. A new session ends the oldest.
const SESSIONS_MAX: i64 = 100;

impl Store {
    /// Stores the session of a sign-in in place of the previous one, and the time of the sign-in. Keeps the
    /// newest `SESSIONS_MAX` sessions of the user. False, with nothing changed, if the state that the sign-in
    /// was checked against has changed: nobody gets in with a password that was reset during the check.
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

    /// Returns the session even if it has ended.
    pub async fn session(&self, hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(queries::SESSION).bind(&hash[..]).fetch_optional(pool).await?);
        row.map(SessionRow::try_from).transpose()
    }

    /// Records that a session was used.
    pub async fn touch_session(&self, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE sessions SET used_at = $2 WHERE hash = $1 AND used_at < $2";
        writing!(self, pool => { sqlx::query(TOUCH).bind(&hash[..]).bind(now.as_millis()).execute(pool).await?; });
        Ok(())
    }

    /// A user's sessions that are signed in and haven't ended, newest first, at most 100. A session that
    /// hasn't been used since `unused_since` has ended.
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

    /// False if the user has no such session.
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

    /// Ends all sessions of a user except one. Returns how many there were.
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

    /// Deletes expired drafts, access tokens and password links, ended sessions, and sign-in limits last
    /// counted before `counted`. Returns the number of deleted rows.
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

/// Which sessions to delete. Either condition is enough.
#[derive(Debug, Clone, Copy)]
pub struct ExpiredSessions {
    /// Sessions that ended before this.
    pub ended_before: Timestamp,
    /// Sessions that haven't been used since this.
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
