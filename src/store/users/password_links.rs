//! One-time links to choose a password, and users that are created with one. Only the hash of a link is
//! stored, and each user has at most one.

use uuid::Uuid;

use super::{admin::end_all_sessions, user::insert_user};
use crate::{
    domain::{
        audit::Audit,
        time::Timestamp,
        users::{Role, UserId},
    },
    store::{
        NewUser, Store, StoreError, UserInsert,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

/// A link to be stored; it replaces the user's previous one.
#[derive(Debug, Clone)]
pub struct NewPasswordLink {
    pub owner: UserId,
    /// The hash of the secret in the link.
    pub hash: [u8; 32],
    pub expires_at: Timestamp,
}

/// Stores a link, in a transaction.
macro_rules! put_link {
    ($transaction:expr, $link:expr) => {{
        const PUT: &str = "INSERT INTO password_links (owner, hash, expires_at) VALUES ($1, $2, $3)
            ON CONFLICT (owner) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at";
        let link: &NewPasswordLink = $link;
        let put = sqlx::query(PUT).bind(link.owner).bind(&link.hash[..]).bind(link.expires_at.as_millis());
        put.execute(&mut *$transaction).await?;
    }};
}

impl Store {
    /// Stores a user, with a link to choose a password if they have none. An administrator also becomes the owner
    /// of everything that has no owner, which exists only from before there were users.
    pub async fn add_user(
        &self,
        new: &NewUser<'_>,
        link: Option<&NewPasswordLink>,
        audit: &Audit<'_>,
    ) -> Result<UserInsert, StoreError> {
        const CREDENTIALS: &str = "UPDATE credentials SET owner = $1 WHERE owner IS NULL";
        const RESOURCES: &str = "UPDATE resources SET owner = $1 WHERE owner IS NULL";
        transaction!(self, transaction => {
            if insert_user!(transaction, new) == 0 {
                return Ok(UserInsert::EmailTaken);
            }
            if let Some(link) = link {
                put_link!(transaction, link);
            }
            if new.role == Role::Administrator {
                for statement in [CREDENTIALS, RESOURCES] {
                    sqlx::query(statement).bind(new.id).execute(&mut *transaction).await?;
                }
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(UserInsert::Inserted)
        })
    }

    /// `None` if the link is unknown or expired.
    pub async fn owner_of_password_link(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let owner: Option<Uuid> = reading!(self, pool => {
            sqlx::query_scalar(queries::PASSWORD_LINK).bind(&hash[..]).bind(now.as_millis()).fetch_optional(pool).await?
        });
        Ok(owner)
    }

    /// The expiry of a user's link; `None` if there is no valid one.
    pub async fn password_link_of(&self, owner: UserId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let expires: Option<i64> = reading!(self, pool => {
            sqlx::query_scalar(queries::PASSWORD_LINK_OF_USER).bind(owner).bind(now.as_millis()).fetch_optional(pool).await?
        });
        Ok(expires.map(Timestamp::from_millis))
    }

    /// Uses up a link, stores the hash of the chosen password, and ends all sessions of the user. Returns the
    /// user's new version; `None`, with nothing changed, if the link isn't valid or the user is disabled.
    pub async fn use_password_link(
        &self,
        link: &[u8; 32],
        owner: UserId,
        now: Timestamp,
        password: &str,
        audit: &Audit<'_>,
    ) -> Result<Option<i64>, StoreError> {
        const PASSWORD: &str =
            "UPDATE users SET password = $2, version = version + 1 WHERE id = $1 AND state = 'active' RETURNING version";
        const USE: &str = "DELETE FROM password_links WHERE owner = $1 AND hash = $2 AND expires_at > $3";
        transaction!(self, transaction => {
            let version = sqlx::query_scalar(PASSWORD).bind(owner).bind(password).fetch_optional(&mut *transaction).await?;
            let Some(version) = version else { return Ok(None) };
            end_all_sessions!(transaction, owner);
            let used = sqlx::query(USE).bind(owner).bind(&link[..]).bind(now.as_millis());
            if used.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(None);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(Some(version))
        })
    }

    /// Removes the password of an active user, ends their sessions and stores a link to choose a new one.
    /// False if there is no such user.
    pub async fn reset_password(&self, link: &NewPasswordLink, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const RESET: &str = "UPDATE users SET password = NULL, version = version + 1 WHERE id = $1 AND state = 'active'";
        transaction!(self, transaction => {
            if sqlx::query(RESET).bind(link.owner).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            end_all_sessions!(transaction, link.owner);
            put_link!(transaction, link);
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Stores the hash of a new password, ends the user's sessions and voids their link. False if there is no
    /// such user.
    pub async fn replace_password(&self, owner: UserId, password: &str, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const PASSWORD: &str = "UPDATE users SET password = $2, version = version + 1 WHERE id = $1";
        const LINK: &str = "DELETE FROM password_links WHERE owner = $1";
        transaction!(self, transaction => {
            if sqlx::query(PASSWORD).bind(owner).bind(password).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            end_all_sessions!(transaction, owner);
            sqlx::query(LINK).bind(owner).execute(&mut *transaction).await?;
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }
}
