//! Who people are at a provider of single sign-on.

use super::user::{Row, insert_user};
use crate::domain::users::User;
use crate::{
    domain::{audit::Audit, users::UserId},
    store::{
        NewUser, Store, StoreError,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

/// Somebody at a provider. Both together never change and are never given to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// Who that is there.
    pub subject: &'a str,
}

/// What came of storing an account with its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityUserInsert {
    /// Both are stored.
    Inserted,
    /// Another account has this e-mail address.
    EmailTaken,
    /// The identity has an account already.
    IdentityTaken,
}

/// What came of giving an account an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityLink {
    /// It has it now.
    Linked,
    /// The account is somebody else at this provider.
    OfAnother,
    /// The account was changed since the version that was seen, or is not active.
    Outdated,
    /// The identity has an account already.
    IdentityTaken,
}

/// Stores an identity within a transaction, unless the account has one of this issuer or somebody has this one;
/// answers how many rows that made. The row of the account has to be locked by this transaction.
macro_rules! insert_identity {
    ($transaction:expr, $owner:expr, $identity:expr) => {{
        const INSERT: &str = "INSERT INTO identities (issuer, subject, owner) SELECT $1, $2, id FROM users
            WHERE id = $3 AND NOT EXISTS (SELECT 1 FROM identities WHERE owner = $3 AND issuer = $1)
            ON CONFLICT (issuer, subject) DO NOTHING";
        let insert = sqlx::query(INSERT).bind($identity.issuer).bind($identity.subject).bind($owner);
        insert.execute(&mut *$transaction).await?.rows_affected()
    }};
}

impl Store {
    /// The account of somebody at a provider.
    pub async fn user_of_identity(&self, identity: Identity<'_>) -> Result<Option<User>, StoreError> {
        let row: Option<Row> = reading!(self, pool => {
            let lookup = sqlx::query_as(queries::USER_OF_IDENTITY);
            lookup.bind(identity.issuer).bind(identity.subject).fetch_optional(pool).await?
        });
        row.map(User::try_from).transpose()
    }

    /// Stores an account that is somebody at a provider.
    pub async fn insert_user_of_identity(
        &self,
        new: &NewUser<'_>,
        identity: Identity<'_>,
        audit: &Audit<'_>,
    ) -> Result<IdentityUserInsert, StoreError> {
        transaction!(self, transaction => {
            if insert_user!(transaction, new) == 0 {
                return Ok(IdentityUserInsert::EmailTaken);
            }
            if insert_identity!(transaction, new.id, identity) == 0 {
                return Ok(IdentityUserInsert::IdentityTaken);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(IdentityUserInsert::Inserted)
        })
    }

    /// Gives an account that is of the version that was seen, and active, an identity. It gets no second one of the
    /// same issuer: that is two people with one e-mail address.
    pub async fn link_identity(
        &self,
        user: UserId,
        version: i64,
        identity: Identity<'_>,
        audit: &Audit<'_>,
    ) -> Result<IdentityLink, StoreError> {
        // Locks the row, so that of two people who come at once one is linked.
        const LOCK: &str = "UPDATE users SET version = version + 1 WHERE id = $1 AND version = $2 AND state = 'active'";
        transaction!(self, transaction => {
            if sqlx::query(LOCK).bind(user).bind(version).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(IdentityLink::Outdated);
            }
            if insert_identity!(transaction, user, identity) == 0 {
                let of_this = sqlx::query(queries::USER_OF_IDENTITY).bind(identity.issuer).bind(identity.subject);
                let taken = of_this.fetch_optional(&mut *transaction).await?.is_some();
                return Ok(if taken { IdentityLink::IdentityTaken } else { IdentityLink::OfAnother });
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(IdentityLink::Linked)
        })
    }

    /// Ends what is left of the sessions of somebody whom the provider does not let in any more.
    pub async fn end_sessions_of_refused(&self, user: UserId, audit: &Audit<'_>) -> Result<(), StoreError> {
        const END: &str = "DELETE FROM sessions WHERE owner = $1";
        transaction!(self, transaction => {
            if sqlx::query(END).bind(user).execute(&mut *transaction).await?.rows_affected() > 0 {
                bump_access_epoch!(transaction);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(())
        })
    }
}
