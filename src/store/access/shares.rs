//! Shares: which people and groups may use or manage a credential beside its owner, and whether it is open to all.
//!
//! Every change asks in its own statement whether the person may manage the credential at this moment, so that a
//! right which was withdrawn a moment ago changes nothing any more.

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

/// Whom something is shared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareWith {
    /// A person.
    Person(UserId),
    /// A group, and so whoever is in it.
    Group(Uuid),
}

/// A share to be stored. One that there is already for the same person or group is given this access.
#[derive(Debug, Clone, Copy)]
pub struct NewShare {
    /// Its id, if it is a new one.
    pub id: Uuid,
    /// What is shared.
    pub credential: CredentialId,
    /// With whom.
    pub with: ShareWith,
    /// How far they may go with it.
    pub access: Access,
}

/// A stored share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRow {
    /// Its id.
    pub id: Uuid,
    /// With whom.
    pub with: Sharee,
    /// How far they may go with it.
    pub access: Access,
}

/// Whom something is shared with, as people know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharee {
    /// A person.
    Person {
        /// The account.
        id: UserId,
        /// The name.
        name: String,
        /// The e-mail address.
        email: String,
    },
    /// A group.
    Group {
        /// Its id.
        id: Uuid,
        /// Its name.
        name: String,
    },
}

/// What came of changing who may use or manage a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareChange {
    /// It is changed.
    Changed,
    /// There is no such credential that this person may manage, or no such share.
    NotFound,
    /// The person or group is gone.
    ShareeGone,
}

impl Store {
    /// With whom a credential is shared, at most 1,000.
    pub async fn shares_of(&self, credential: CredentialId) -> Result<Vec<ShareRow>, StoreError> {
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(queries::SHARES).bind(credential).fetch_all(pool).await?);
        rows.into_iter().map(ShareRow::try_from).collect()
    }

    /// Opens a credential to all for use, or makes it private again.
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

    /// Shares a credential with a person or a group.
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

    /// Gives a share of a credential another access, or takes it away (`None`).
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

    /// E-mail addresses and names of people a credential can be shared with, by address, at most `limit`.
    pub async fn people_to_share_with(&self, limit: i64) -> Result<Vec<(String, String)>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_as(queries::PEOPLE_TO_SHARE_WITH).bind("").bind(limit).fetch_all(pool).await?
        }))
    }

    /// Names of groups that a credential can be shared with, by name, at most `limit`.
    pub async fn groups_to_share_with(&self, limit: i64) -> Result<Vec<String>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_scalar(queries::GROUPS_TO_SHARE_WITH).bind("").bind(limit).fetch_all(pool).await?
        }))
    }

    /// The person whose e-mail address has this key and whose account is in use, and the address.
    pub async fn person_to_share_with(&self, email_key: &str) -> Result<Option<(UserId, String)>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_as(queries::PERSON_TO_SHARE_WITH).bind(email_key).fetch_optional(pool).await?
        }))
    }

    /// The group whose name has this key, and the name.
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
