//! Accounts.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, StoreError,
    access_epoch::bump_access_epoch,
    audit::append_audit,
    database::{reading, transaction},
    lookups,
};
use crate::domain::{
    account::{Email, Role, UserId, UserState},
    audit::Audit,
    naming::Name,
    time::Timestamp,
};

/// An account to be stored. It is active.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// Its id.
    pub id: UserId,
    /// Its e-mail address, unique.
    pub email: &'a Email,
    /// The name of the person.
    pub name: &'a Name,
    /// Its role.
    pub role: Role,
    /// The hash of its password (a PHC string), if it has one already.
    pub password: Option<&'a str>,
    /// When it is made.
    pub created_at: Timestamp,
}

/// A stored account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Its id.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The name of the person.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Whether it can be used.
    pub state: UserState,
    /// Whether it has a password.
    pub has_password: bool,
    /// Whether it has a second factor.
    pub has_second_factor: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When somebody last signed in with it.
    pub signed_in_at: Option<Timestamp>,
    /// Grows with every change of name, e-mail address, role, state or password.
    pub version: i64,
}

/// What came of storing an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserInsert {
    /// It is stored.
    Inserted,
    /// Another account has this e-mail address.
    EmailTaken,
    /// It was to be the first, and there is one already.
    NotTheFirst,
}

/// Stores an account within a transaction, unless its address is taken; answers how many rows that made.
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
            .bind($crate::store::users::search_key(new.name, new.email))
            .bind(new.role.as_str())
            .bind(new.password)
            .bind(new.created_at.as_millis());
        insert.execute(&mut *$transaction).await?.rows_affected()
    }};
}
pub(super) use insert_user;

/// What a search for a person looks through.
pub(super) fn search_key(name: &Name, email: &Email) -> String {
    format!("{}\n{}", name.key(), email.key())
}

impl Store {
    /// Stores an account.
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

    /// Stores the first account, which takes over what was made before there were accounts. Of two that come
    /// at the same moment one is the first: both wait for the row of the access epoch.
    pub async fn insert_first_user(&self, new: &NewUser<'_>, audit: &Audit<'_>) -> Result<UserInsert, StoreError> {
        const CREDENTIALS: &str = "UPDATE credentials SET owner = $1 WHERE owner IS NULL";
        const RESOURCES: &str = "UPDATE resources SET owner = $1 WHERE owner IS NULL";
        transaction!(self, transaction => {
            bump_access_epoch!(transaction);
            let first: Option<Uuid> =
                sqlx::query_scalar(lookups::ANY_USER).bind(Uuid::nil()).fetch_optional(&mut *transaction).await?;
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

    /// Whether there is any account.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        let first: Option<Uuid> =
            reading!(self, pool => sqlx::query_scalar(lookups::ANY_USER).bind(Uuid::nil()).fetch_optional(pool).await?);
        Ok(first.is_some())
    }

    /// One account.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>, StoreError> {
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(lookups::USER).bind(id).fetch_optional(pool).await?);
        row.map(UserRow::try_from).transpose()
    }
}

#[derive(FromRow)]
pub(super) struct Row {
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

impl TryFrom<Row> for UserRow {
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
