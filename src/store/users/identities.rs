//! The identities of users at single sign-on providers.

use super::user::{Row, insert_user};
use crate::{
    domain::{
        audit::Audit,
        users::{User, UserId},
    },
    store::{
        NewUser, Store, StoreError,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

/// An identity at a provider. Issuer and subject together never change and are never given to someone else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The provider (`iss`).
    pub issuer: &'a str,
    /// The person's id at the provider (`sub`).
    pub subject: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityUserInsert {
    Inserted,
    /// Another user has this email address.
    EmailTaken,
    /// Another user has this identity.
    IdentityTaken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityLink {
    Linked,
    /// The user already has another identity at this provider.
    OfAnother,
    /// The user was changed since the version that was seen, or isn't active.
    Outdated,
    /// A user already has this identity.
    IdentityTaken,
}

/// Stores an identity in a transaction, unless the user has one of this issuer or another user has this one.
/// Returns the number of inserted rows. The transaction must already hold the lock on the user's row.
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

    /// Stores a user together with an identity.
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

    /// Links an identity to an active user who still has the version that was seen. Never links a second
    /// identity of the same issuer: that means two people with the same email address.
    pub async fn link_identity(
        &self,
        user: UserId,
        version: i64,
        identity: Identity<'_>,
        audit: &Audit<'_>,
    ) -> Result<IdentityLink, StoreError> {
        // Locks the row, so that only one of two concurrent sign-ins is linked.
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

    /// Ends the remaining sessions of a user whom the provider no longer lets in.
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
