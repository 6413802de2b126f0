//! Groups of users, with which credentials can be shared.

use uuid::Uuid;

use super::epoch::bump_access_epoch;
use crate::{
    domain::{
        access::{
            group::{Group, GroupMember, GroupShare},
            permission::Access,
        },
        audit::Audit,
        naming::Name,
        time::Timestamp,
        users::{UserId, UserState},
    },
    store::{
        Store, StoreError,
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

/// What came of making or changing a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupChange {
    Changed,
    /// Nothing had to be changed.
    Unchanged,
    /// Another group has this name.
    NameTaken,
    /// There is no such group, or no such user.
    NotFound,
}

/// Id, name, and how many members and shares there are.
type GroupRow = (Uuid, String, i64, i64);

fn group_of((id, name, members, shares): GroupRow) -> Group {
    Group { id, name, members, shares }
}

impl Store {
    /// Stores a group without members.
    pub async fn insert_group(
        &self,
        id: Uuid,
        name: &Name,
        created_at: Timestamp,
        audit: &Audit<'_>,
    ) -> Result<GroupChange, StoreError> {
        const INSERT: &str = "INSERT INTO user_groups (id, name, name_key, created_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (name_key) DO NOTHING";
        transaction!(self, transaction => {
            let insert = sqlx::query(INSERT).bind(id).bind(name.as_str()).bind(name.key()).bind(created_at.as_millis());
            if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(GroupChange::NameTaken);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(GroupChange::Changed)
        })
    }

    pub async fn rename_group(&self, id: Uuid, name: &Name, audit: &Audit<'_>) -> Result<GroupChange, StoreError> {
        const RENAME: &str = "UPDATE user_groups SET name = $2, name_key = $3 WHERE id = $1";
        let refused = transaction!(self, transaction => {
            let update = sqlx::query(RENAME).bind(id).bind(name.as_str()).bind(name.key());
            match update.execute(&mut *transaction).await.map(|done| done.rows_affected()) {
                Ok(0) => return Ok(GroupChange::NotFound),
                Ok(_) => {
                    append_audit!(transaction, audit);
                    transaction.commit().await?;
                    return Ok(GroupChange::Changed);
                }
                Err(error) => error,
            }
        });
        match refused {
            sqlx::Error::Database(error) if error.is_unique_violation() => Ok(GroupChange::NameTaken),
            error => Err(error.into()),
        }
    }

    /// Deletes a group and everything that was shared with it.
    pub async fn delete_group(&self, id: Uuid, audit: &Audit<'_>) -> Result<GroupChange, StoreError> {
        const DELETE: &str = "DELETE FROM user_groups WHERE id = $1";
        transaction!(self, transaction => {
            if sqlx::query(DELETE).bind(id).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(GroupChange::NotFound);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(GroupChange::Changed)
        })
    }

    pub async fn add_to_group(&self, group: Uuid, member: UserId, audit: &Audit<'_>) -> Result<GroupChange, StoreError> {
        const ADD: &str = "INSERT INTO group_members (group_id, member) VALUES ($1, $2) ON CONFLICT (group_id, member) DO NOTHING";
        let refused = transaction!(self, transaction => {
            match sqlx::query(ADD).bind(group).bind(member).execute(&mut *transaction).await.map(|done| done.rows_affected()) {
                Ok(0) => return Ok(GroupChange::Unchanged),
                Ok(_) => {
                    bump_access_epoch!(transaction);
                    append_audit!(transaction, audit);
                    transaction.commit().await?;
                    return Ok(GroupChange::Changed);
                }
                Err(error) => error,
            }
        });
        match refused {
            sqlx::Error::Database(error) if error.is_foreign_key_violation() => Ok(GroupChange::NotFound),
            error => Err(error.into()),
        }
    }

    pub async fn remove_from_group(&self, group: Uuid, member: UserId, audit: &Audit<'_>) -> Result<GroupChange, StoreError> {
        const REMOVE: &str = "DELETE FROM group_members WHERE group_id = $1 AND member = $2";
        transaction!(self, transaction => {
            if sqlx::query(REMOVE).bind(group).bind(member).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(GroupChange::Unchanged);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(GroupChange::Changed)
        })
    }

    /// A page of groups, newest first.
    pub async fn groups_page(&self, after: Option<Uuid>, limit: i64) -> Result<Vec<Group>, StoreError> {
        let below = after.unwrap_or(Uuid::max());
        Ok(reading!(self, pool => sqlx::query_as(queries::GROUPS).bind(below).bind(limit).fetch_all(pool).await?)
            .into_iter()
            .map(group_of)
            .collect())
    }

    /// One group.
    pub async fn group(&self, id: Uuid) -> Result<Option<Group>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_as(queries::GROUP).bind(id).fetch_optional(pool).await?).map(group_of))
    }

    /// The newest users first.
    pub async fn group_members(&self, group: Uuid, after: Option<UserId>, limit: i64) -> Result<Vec<GroupMember>, StoreError> {
        let below = after.unwrap_or(Uuid::max());
        let rows: Vec<(Uuid, String, String, String)> = reading!(self, pool => {
            sqlx::query_as(queries::GROUP_MEMBERS).bind(group).bind(below).bind(limit).fetch_all(pool).await?
        });
        let member = |(id, email, name, state): (Uuid, String, String, String)| {
            let state = UserState::parse(&state).ok_or(StoreError::Row { table: "users", column: "state" })?;
            Ok(GroupMember { id, email, name, state })
        };
        rows.into_iter().map(member).collect()
    }

    /// Ids and names, at most `limit`.
    pub async fn groups_of(&self, member: UserId, limit: i64) -> Result<Vec<(Uuid, String)>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_as(queries::GROUPS_OF_MEMBER).bind(member).bind(limit).fetch_all(pool).await?))
    }

    /// At most `limit`.
    pub async fn shares_of_group(&self, group: Uuid, limit: i64) -> Result<Vec<GroupShare>, StoreError> {
        let rows: Vec<(String, String, String, Option<String>)> = reading!(self, pool => {
            sqlx::query_as(queries::SHARES_OF_GROUP).bind(group).bind(limit).fetch_all(pool).await?
        });
        let share = |(connector, name, access, owner): (String, String, String, Option<String>)| {
            let access = Access::parse(&access).ok_or(StoreError::Row { table: "credential_shares", column: "access" })?;
            Ok(GroupShare { connector, name, access, owner })
        };
        rows.into_iter().map(share).collect()
    }
}
