//! Users as an administrator sees and changes them: listing, changing, disabling. There is always an active
//! administrator: a change that would leave none is rejected.

use uuid::Uuid;

use super::user::{Row, search_key};
use crate::{
    domain::{
        audit::Audit,
        naming::Name,
        time::Timestamp,
        users::{Email, Role, User, UserId},
    },
    store::{
        Store, StoreError,
        access::epoch::bump_access_epoch,
        api_keys::{REVOKE_KEYS, revoked_keys},
        audit::append::append_audit,
        credentials::credential::like_pattern,
        database::{reading, transaction},
        queries,
    },
};

/// The new state of a user.
#[derive(Debug, Clone)]
pub struct UserChange<'a> {
    pub id: UserId,
    /// The version that the administrator saw.
    pub version: i64,
    /// Unique, ignoring case.
    pub email: &'a Email,
    pub name: &'a Name,
    pub role: Role,
    /// Whether to end the user's sessions.
    pub ends_sessions: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChanged {
    Changed,
    /// Another user has this email address.
    EmailTaken,
    /// No active administrator would be left.
    LastAdministrator,
    /// The user was changed since the version that the administrator saw.
    Outdated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    Changed,
    /// The user already has this state, or doesn't exist.
    Unchanged,
    /// No active administrator would be left.
    LastAdministrator,
}

/// Whether a transaction leaves an active administrator. Bump the access epoch first: of two transactions
/// that each remove an administrator, the second then waits for the first and sees its change.
macro_rules! has_administrator {
    ($transaction:expr) => {{
        let administrators: i64 = sqlx::query_scalar(queries::ADMINISTRATORS).fetch_one(&mut *$transaction).await?;
        administrators > 0
    }};
}

/// Ends all sessions of a user, in a transaction. Returns how many there were.
macro_rules! end_all_sessions {
    ($transaction:expr, $owner:expr) => {
        sqlx::query("DELETE FROM sessions WHERE owner = $1").bind($owner).execute(&mut *$transaction).await?.rows_affected()
    };
}
pub(in crate::store) use end_all_sessions;

impl Store {
    /// A page of accounts, newest first. `search` is a key, as [`crate::domain::naming::name_key`] makes it.
    pub async fn users_page(&self, search: Option<&str>, after: Option<UserId>, limit: i64) -> Result<Vec<User>, StoreError> {
        let below = after.unwrap_or(Uuid::max());
        let pattern = match search.map(like_pattern) {
            Some(None) => return Ok(Vec::new()),
            Some(pattern) => pattern,
            None => None,
        };
        let rows: Vec<Row> = reading!(self, pool => {
            let page = match &pattern {
                None => sqlx::query_as(queries::USERS).bind(below).bind(limit),
                Some(pattern) => sqlx::query_as(queries::USERS_FOUND).bind(below).bind(limit).bind(pattern),
            };
            page.fetch_all(pool).await?
        });
        rows.into_iter().map(User::try_from).collect()
    }

    /// The account of an e-mail address.
    pub async fn user_of_email(&self, email: &Email) -> Result<Option<User>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(queries::USER_OF_EMAIL).bind(email.key()).fetch_optional(pool).await?);
        row.map(User::try_from).transpose()
    }

    /// Changes a user, if they still have the version that was seen.
    pub async fn change_user(&self, change: &UserChange<'_>, audit: &Audit<'_>) -> Result<UserChanged, StoreError> {
        const CHANGE: &str = "UPDATE users SET email = $3, email_key = $4, name = $5, search_key = $6, role = $7,
            version = version + 1 WHERE id = $1 AND version = $2";
        let refused = transaction!(self, transaction => {
            let update = sqlx::query(CHANGE)
                .bind(change.id)
                .bind(change.version)
                .bind(change.email.as_str())
                .bind(change.email.key())
                .bind(change.name.as_str())
                .bind(search_key(change.name, change.email))
                .bind(change.role.as_str());
            match update.execute(&mut *transaction).await.map(|done| done.rows_affected()) {
                Ok(0) => return Ok(UserChanged::Outdated),
                Ok(_) => {
                    if change.ends_sessions {
                        end_all_sessions!(transaction, change.id);
                    }
                    bump_access_epoch!(transaction);
                    if !has_administrator!(transaction) {
                        return Ok(UserChanged::LastAdministrator);
                    }
                    append_audit!(transaction, audit);
                    transaction.commit().await?;
                    return Ok(UserChanged::Changed);
                }
                Err(error) => error,
            }
        });
        match refused {
            sqlx::Error::Database(error) if error.is_unique_violation() => Ok(UserChanged::EmailTaken),
            error => Err(error.into()),
        }
    }

    /// Disables a user: ends their sessions, voids their password link and revokes their API keys, with an
    /// audit event for each key. None of these come back when the user is enabled again.
    pub async fn disable_user(&self, id: UserId, now: Timestamp, audit: &Audit<'_>) -> Result<StateChange, StoreError> {
        const DISABLE: &str = "UPDATE users SET state = 'disabled', version = version + 1 WHERE id = $1 AND state = 'active'";
        const LINK: &str = "DELETE FROM password_links WHERE owner = $1";
        transaction!(self, transaction => {
            if sqlx::query(DISABLE).bind(id).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(StateChange::Unchanged);
            }
            end_all_sessions!(transaction, id);
            sqlx::query(LINK).bind(id).execute(&mut *transaction).await?;
            bump_access_epoch!(transaction);
            if !has_administrator!(transaction) {
                return Ok(StateChange::LastAdministrator);
            }
            let keys: Vec<(Uuid, String)> = sqlx::query_as(queries::KEYS_OF_OWNER).bind(id).fetch_all(&mut *transaction).await?;
            sqlx::query(REVOKE_KEYS).bind(id).bind(now.as_millis()).execute(&mut *transaction).await?;
            for revoked in revoked_keys(audit, &keys, "its owner was disabled") {
                append_audit!(transaction, &revoked);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(StateChange::Changed)
        })
    }

    pub async fn enable_user(&self, id: UserId, audit: &Audit<'_>) -> Result<StateChange, StoreError> {
        const ENABLE: &str = "UPDATE users SET state = 'active', version = version + 1 WHERE id = $1 AND state = 'disabled'";
        transaction!(self, transaction => {
            if sqlx::query(ENABLE).bind(id).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(StateChange::Unchanged);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(StateChange::Changed)
        })
    }

    /// Removes a user's second factor and recovery codes, and ends their sign-ins that wait for a code. False
    /// if there was none.
    pub async fn take_second_factor(&self, id: UserId, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const REMOVE: &str =
            "UPDATE users SET second_factor = NULL, version = version + 1 WHERE id = $1 AND second_factor IS NOT NULL";
        const WAITING: &str = "DELETE FROM sessions WHERE owner = $1 AND stage = 'second_factor'";
        const CODES: &str = "DELETE FROM recovery_codes WHERE owner = $1";
        transaction!(self, transaction => {
            if sqlx::query(REMOVE).bind(id).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            for statement in [WAITING, CODES] {
                sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Returns how many there were.
    pub async fn end_all_sessions(&self, owner: UserId, audit: &Audit<'_>) -> Result<u64, StoreError> {
        transaction!(self, transaction => {
            let ended = end_all_sessions!(transaction, owner);
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(ended)
        })
    }
}
