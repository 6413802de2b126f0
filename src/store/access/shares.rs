//! Shares: which people and groups may use or manage a credential besides its owner, and whether everyone may
//! use it.
//!
//! Every change checks in its own statement that the actor may manage the credential, so that access that was
//! withdrawn a moment ago no longer allows a change.

use sqlx::FromRow;
use uuid::Uuid;

use super::epoch::bump_access_epoch;
use crate::{
    domain::{
        access::permission::{Access, Sharing},
        audit::Audit,
        credentials::CredentialId,
        users::UserId,
    },
    store::{
        Store, StoreError,
        audit::append::append_audit,
        database::{reading, transaction},
        queries::{self, statements::access},
    },
};

/// Who a credential is shared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareWith {
    Person(UserId),
    /// Everyone in the group.
    Group(Uuid),
}

/// A share to be stored. An existing share for the same person or group gets the new access instead.
#[derive(Debug, Clone, Copy)]
pub struct NewShare {
    /// Used only if there is no such share yet.
    pub id: Uuid,
    pub credential: CredentialId,
    pub with: ShareWith,
    pub access: Access,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRow {
    pub id: Uuid,
    pub with: Sharee,
    pub access: Access,
}

/// Who a credential is shared with, with names to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharee {
    Person { id: UserId, name: String, email: String },
    Group { id: Uuid, name: String },
}

/// The result of changing who may use or manage a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareChange {
    Changed,
    /// There is no such credential that the actor may manage, or no such share.
    NotFound,
    /// The person or group no longer exists.
    ShareeGone,
}

impl Store {
    /// At most 1,000.
    pub async fn shares_of(&self, credential: CredentialId) -> Result<Vec<ShareRow>, StoreError> {
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(queries::SHARES).bind(credential).fetch_all(pool).await?);
        rows.into_iter().map(ShareRow::try_from).collect()
    }

    /// Lets everyone use a credential, or makes it private.
    pub async fn set_sharing(
        &self,
        manager: UserId,
        credential: CredentialId,
        sharing: Sharing,
        audit: &Audit<'_>,
    ) -> Result<ShareChange, StoreError> {
        const UPDATE: &str = concat!("UPDATE credentials AS c SET sharing = $3 WHERE c.id = $2 AND ", access!(), " = 'manage'");
        transaction!(self, transaction => {
            let update = sqlx::query(UPDATE).bind(manager).bind(credential).bind(sharing.as_str());
            if update.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(ShareChange::NotFound);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(ShareChange::Changed)
        })
    }

    pub async fn put_share(&self, manager: UserId, new: &NewShare, audit: &Audit<'_>) -> Result<ShareChange, StoreError> {
        const PERSON: &str = concat!(
            "INSERT INTO credential_shares (id, credential, connector, person, access)
            SELECT $3, c.id, c.connector, $4, $5 FROM credentials c WHERE c.id = $2 AND ",
            access!(),
            " = 'manage' ON CONFLICT (credential, person) DO UPDATE SET access = excluded.access"
        );
        const GROUP: &str = concat!(
            "INSERT INTO credential_shares (id, credential, connector, group_id, access)
            SELECT $3, c.id, c.connector, $4, $5 FROM credentials c WHERE c.id = $2 AND ",
            access!(),
            " = 'manage' ON CONFLICT (credential, group_id) DO UPDATE SET access = excluded.access"
        );
        let (statement, sharee) = match new.with {
            ShareWith::Person(id) => (PERSON, id),
            ShareWith::Group(id) => (GROUP, id),
        };
        transaction!(self, transaction => {
            let insert = sqlx::query(statement).bind(manager).bind(new.credential).bind(new.id).bind(sharee).bind(new.access.as_str());
            match insert.execute(&mut *transaction).await.map(|done| done.rows_affected()) {
                Ok(0) => return Ok(ShareChange::NotFound),
                Ok(_) => {}
                Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => return Ok(ShareChange::ShareeGone),
                Err(error) => return Err(error.into()),
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(ShareChange::Changed)
        })
    }

    /// Changes the access of a share, or deletes the share (`None`).
    pub async fn change_share(
        &self,
        manager: UserId,
        credential: CredentialId,
        share: Uuid,
        access: Option<Access>,
        audit: &Audit<'_>,
    ) -> Result<ShareChange, StoreError> {
        const UPDATE: &str = concat!(
            "UPDATE credential_shares SET access = $4 WHERE id = $3 AND credential = $2
            AND EXISTS (SELECT 1 FROM credentials c WHERE c.id = $2 AND ",
            access!(),
            " = 'manage')"
        );
        const DELETE: &str = concat!(
            "DELETE FROM credential_shares WHERE id = $3 AND credential = $2
            AND EXISTS (SELECT 1 FROM credentials c WHERE c.id = $2 AND ",
            access!(),
            " = 'manage')"
        );
        transaction!(self, transaction => {
            let change = sqlx::query(if access.is_some() { UPDATE } else { DELETE });
            let change = change.bind(manager).bind(credential).bind(share);
            let change = match access {
                Some(access) => change.bind(access.as_str()),
                None => change,
            };
            if change.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(ShareChange::NotFound);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(ShareChange::Changed)
        })
    }

    /// Email addresses and names of possible sharees, by address, at most `limit`.
    pub async fn people_to_share_with(&self, limit: i64) -> Result<Vec<(String, String)>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_as(queries::PEOPLE_TO_SHARE_WITH).bind("").bind(limit).fetch_all(pool).await?
        }))
    }

    /// Names of groups, in order, at most `limit`.
    pub async fn groups_to_share_with(&self, limit: i64) -> Result<Vec<String>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_scalar(queries::GROUPS_TO_SHARE_WITH).bind("").bind(limit).fetch_all(pool).await?
        }))
    }

    /// The id and email address of the active user with this email key.
    pub async fn person_to_share_with(&self, email_key: &str) -> Result<Option<(UserId, String)>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_as(queries::PERSON_TO_SHARE_WITH).bind(email_key).fetch_optional(pool).await?
        }))
    }

    /// The id and name of the group with this key.
    pub async fn group_to_share_with(&self, name_key: &str) -> Result<Option<(Uuid, String)>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_as(queries::GROUP_TO_SHARE_WITH).bind(name_key).fetch_optional(pool).await?
        }))
    }
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    access: String,
    person: Option<Uuid>,
    group_id: Option<Uuid>,
    person_name: Option<String>,
    person_email: Option<String>,
    group_name: Option<String>,
}

impl TryFrom<Row> for ShareRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "credential_shares", column };
        let with = match (row.person, row.group_id) {
            (Some(id), None) => {
                Sharee::Person { id, name: row.person_name.unwrap_or_default(), email: row.person_email.unwrap_or_default() }
            }
            (None, Some(id)) => Sharee::Group { id, name: row.group_name.unwrap_or_default() },
            _ => return Err(wrong("person")),
        };
        Ok(Self { id: row.id, with, access: Access::parse(&row.access).ok_or(wrong("access"))? })
    }
}
