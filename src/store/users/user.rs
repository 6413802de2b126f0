//! Users: storing, finding and signing in.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{
        audit::Audit,
        naming::Name,
        time::Timestamp,
        users::{Email, Role, User, UserId, UserState},
    },
    store::{
        NewSession, Store, StoreError,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        auth::sessions::insert_session,
        database::{reading, transaction, writing},
        queries,
    },
};

/// A user to be stored. They are active.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    pub id: UserId,
    /// Unique, ignoring case.
    pub email: &'a Email,
    pub name: &'a Name,
    pub role: Role,
    /// The password hash (a PHC string); `None` if no password has been chosen yet.
    pub password: Option<&'a str>,
    pub created_at: Timestamp,
}

/// An account that somebody signs in to.
#[derive(Clone)]
pub struct UserToSignIn {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub state: UserState,
    /// The password hash (a PHC string); `None` if there is no password.
    pub password: Option<String>,
    pub has_second_factor: bool,
    /// See [`User::version`](crate::domain::users::User::version).
    pub version: i64,
}

/// The version of a user who was just stored.
pub const FIRST_VERSION: i64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserInsert {
    Inserted,
    /// Another user has this email address.
    EmailTaken,
    /// There already is a first user.
    NotTheFirst,
}

/// Stores a user in a transaction, unless the email address is taken. Returns the number of inserted rows.
macro_rules! insert_user {
    ($transaction:expr, $new:expr) => {{
        const INSERT: &str =
            "INSERT INTO users (id, email, email_key, name, search_key, role, state, password, second_factor_step, created_at,
                version)
            VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, 0, $8, 1) ON CONFLICT (email_key) DO NOTHING";
        let new: &$crate::store::NewUser<'_> = $new;
        let insert = sqlx::query(INSERT)
            .bind(new.id)
            .bind(new.email.as_str())
            .bind(new.email.key())
            .bind(new.name.as_str())
            .bind($crate::store::users::user::search_key(new.name, new.email))
            .bind(new.role.as_str())
            .bind(new.password)
            .bind(new.created_at.as_millis());
        insert.execute(&mut *$transaction).await?.rows_affected()
    }};
}
pub(in crate::store) use insert_user;

/// The text that a search for users looks through.
pub(in crate::store) fn search_key(name: &Name, email: &Email) -> String {
    format!("{}\n{}", name.key(), email.key())
}

impl Store {
    pub async fn insert_user(&self, new: &NewUser<'_>, audit: &Audit<'_>) -> Result<UserInsert, StoreError> {
        transaction!(self, transaction => {
            if insert_user!(transaction, new) == 0 {
                return Ok(UserInsert::EmailTaken);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(UserInsert::Inserted)
        })
    }

    /// Stores the first user, who becomes the owner of everything from before there were users. Of two
    /// concurrent attempts one succeeds: both wait for the row of the access epoch.
    pub async fn insert_first_user(&self, new: &NewUser<'_>, audit: &Audit<'_>) -> Result<UserInsert, StoreError> {
        const CREDENTIALS: &str = "UPDATE credentials SET owner = $1 WHERE owner IS NULL";
        const RESOURCES: &str = "UPDATE resources SET owner = $1 WHERE owner IS NULL";
        transaction!(self, transaction => {
            bump_access_epoch!(transaction);
            let first: Option<Uuid> =
                sqlx::query_scalar(queries::ANY_USER).bind(Uuid::nil()).fetch_optional(&mut *transaction).await?;
            if first.is_some() {
                return Ok(UserInsert::NotTheFirst);
            }
            insert_user!(transaction, new);
            for statement in [CREDENTIALS, RESOURCES] {
                sqlx::query(statement).bind(new.id).execute(&mut *transaction).await?;
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(UserInsert::Inserted)
        })
    }

    pub async fn has_users(&self) -> Result<bool, StoreError> {
        let first: Option<Uuid> =
            reading!(self, pool => sqlx::query_scalar(queries::ANY_USER).bind(Uuid::nil()).fetch_optional(pool).await?);
        Ok(first.is_some())
    }

    /// One account.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(queries::USER).bind(id).fetch_optional(pool).await?);
        row.map(User::try_from).transpose()
    }

    /// `email_key` is the key of the email address.
    pub async fn user_to_sign_in(&self, email_key: &str) -> Result<Option<UserToSignIn>, StoreError> {
        let row: Option<SignInRow> =
            reading!(self, pool => sqlx::query_as(queries::USER_TO_SIGN_IN).bind(email_key).fetch_optional(pool).await?);
        row.map(UserToSignIn::try_from).transpose()
    }

    /// The password hash of a user, if they have a password.
    pub async fn password(&self, user: UserId) -> Result<Option<String>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_scalar(queries::PASSWORD).bind(user).fetch_optional(pool).await?))
    }

    /// Replaces the hash of an unchanged password after its cost has changed, if `old` is still stored. Needs
    /// no audit event, because nobody gains or loses access.
    pub async fn renew_password_hash(&self, user: UserId, old: &str, new: &str) -> Result<(), StoreError> {
        const RENEW: &str = "UPDATE users SET password = $3 WHERE id = $1 AND password = $2";
        writing!(self, pool => { sqlx::query(RENEW).bind(user).bind(old).bind(new).execute(pool).await?; });
        Ok(())
    }

    /// Changes a password, if `old` is still the stored hash. Ends all sessions of the user, voids their
    /// password link, and stores the session that continues. False if the password was changed meanwhile.
    pub async fn change_password(&self, old: &str, new: &str, session: &NewSession, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const CHANGE: &str = "UPDATE users SET password = $3, version = version + 1
            WHERE id = $1 AND password = $2 AND state = 'active'";
        const SESSIONS: &str = "DELETE FROM sessions WHERE owner = $1";
        const LINKS: &str = "DELETE FROM password_links WHERE owner = $1";
        transaction!(self, transaction => {
            let change = sqlx::query(CHANGE).bind(session.owner).bind(old).bind(new);
            if change.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            for statement in [SESSIONS, LINKS] {
                sqlx::query(statement).bind(session.owner).execute(&mut *transaction).await?;
            }
            insert_session!(transaction, session);
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    pub async fn rename_user(&self, user: UserId, name: &Name, audit: &Audit<'_>) -> Result<(), StoreError> {
        // See `search_key`.
        const RENAME: &str = "UPDATE users SET name = $2, search_key = $3 || email_key, version = version + 1 WHERE id = $1";
        transaction!(self, transaction => {
            let update = sqlx::query(RENAME).bind(user).bind(name.as_str()).bind(format!("{}\n", name.key()));
            update.execute(&mut *transaction).await?;
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(())
        })
    }
}

#[derive(FromRow)]
struct SignInRow {
    id: Uuid,
    email: String,
    name: String,
    role: String,
    state: String,
    password: Option<String>,
    has_second_factor: i64,
    version: i64,
}

impl TryFrom<SignInRow> for UserToSignIn {
    type Error = StoreError;

    fn try_from(row: SignInRow) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "users", column };
        Ok(Self {
            id: row.id,
            email: row.email,
            name: row.name,
            role: Role::parse(&row.role).ok_or(wrong("role"))?,
            state: UserState::parse(&row.state).ok_or(wrong("state"))?,
            password: row.password,
            has_second_factor: row.has_second_factor != 0,
            version: row.version,
        })
    }
}

#[derive(FromRow)]
pub(in crate::store) struct Row {
    id: Uuid,
    email: String,
    name: String,
    role: String,
    state: String,
    has_password: i64,
    has_second_factor: i64,
    created_at: i64,
    signed_in_at: Option<i64>,
    version: i64,
}

impl TryFrom<Row> for User {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "users", column };
        Ok(Self {
            id: row.id,
            email: row.email,
            name: row.name,
            role: Role::parse(&row.role).ok_or(wrong("role"))?,
            state: UserState::parse(&row.state).ok_or(wrong("state"))?,
            has_password: row.has_password != 0,
            has_second_factor: row.has_second_factor != 0,
            created_at: Timestamp::from_millis(row.created_at),
            signed_in_at: row.signed_in_at.map(Timestamp::from_millis),
            version: row.version,
        })
    }
}
