//! Links with which somebody chooses a password, once, and accounts that begin with one. Of a link only a hash is
//! stored, and each account has at most one.

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

/// A link to be stored, in place of the one before it.
#[derive(Debug, Clone)]
pub struct NewPasswordLink {
    /// Whose password is chosen with it.
    pub owner: UserId,
    /// The hash of what it holds.
    pub hash: [u8; 32],
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// Stores a link within a transaction.
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
    /// Stores an account, with the link by which its password is chosen if it has none. An administrator takes
    /// over what nobody owns: what was made before there were accounts, if this is the first.
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

    /// Whose link this is, if it can still be used.
    pub async fn owner_of_password_link(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let owner: Option<Uuid> = reading!(self, pool => {
            sqlx::query_scalar(queries::PASSWORD_LINK).bind(&hash[..]).bind(now.as_millis()).fetch_optional(pool).await?
        });
        Ok(owner)
    }

    /// Until when the link of an account can be used, if there is one.
    pub async fn password_link_of(&self, owner: UserId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let expires: Option<i64> = reading!(self, pool => {
            sqlx::query_scalar(queries::PASSWORD_LINK_OF_USER).bind(owner).bind(now.as_millis()).fetch_optional(pool).await?
        });
        Ok(expires.map(Timestamp::from_millis))
    }

    /// Uses a link up and stores the hash of the password that was chosen with it; all sessions of the account end.
    /// Answers the version of the account from now on; `None`, and nothing is changed, if the link cannot be used any more
    /// or the account is disabled.
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

    /// Takes the password of an active account away, ends its sessions and stores a link to choose a new one.
    /// False if there is no such account.
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

    /// Stores the hash of another password, ends the sessions of the account and voids its link.
    /// False if there is no such account.
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
