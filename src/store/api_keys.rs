//! API keys in the database: only their hashes, with their owner and scopes.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, StoreError,
    access::epoch::bump_access_epoch,
    audit::append::append_audit,
    database::{reading, transaction, writing},
    queries,
};
use crate::domain::{
    api_keys::{ApiKeyId, Scopes},
    audit::{
        Audit, AuditTarget,
        event::{AuditAction, TargetKind},
    },
    naming::Name,
    resources::{ResourceId, ResourceKind},
    time::Timestamp,
    users::{Role, UserId, UserState},
};

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewApiKey<'a> {
    pub id: ApiKeyId,
    /// The key never has more permissions than its owner.
    pub owner: UserId,
    pub name: &'a Name,
    /// See [`ApiKeyText::hint`](crate::domain::api_keys::ApiKeyText::hint).
    pub hint: &'a str,
    /// The SHA-256 of its text.
    pub hash: &'a [u8; 32],
    pub scopes: Scopes,
    /// The only resources that the key may use; `None` for all that its owner may use.
    pub resources: Option<&'a [ResourceId]>,
    pub created_at: Timestamp,
    /// `None` if it never expires.
    pub expires_at: Option<Timestamp>,
    /// The id of the submitted form. Submitting the same form again creates no second key.
    pub form_id: Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeyInsert {
    Inserted,
    /// The same form has already created this key.
    AlreadyMade(ApiKeyId),
    /// The owner or one of the resources no longer exists.
    Gone,
}

/// A stored key and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    pub id: ApiKeyId,
    pub name: String,
    /// The first characters, shown in lists.
    pub hint: String,
    pub scopes: Scopes,
    /// True if it's limited to the resources of [`Store::resources_of_api_key`].
    pub restricted: bool,
    pub created_at: Timestamp,
    /// `None` if it never expires.
    pub expires_at: Option<Timestamp>,
    /// Rounded down to the minute.
    pub last_used_at: Option<Timestamp>,
    /// `None` if it isn't revoked.
    pub revoked_at: Option<Timestamp>,
    pub owner: ApiKeyOwner,
    pub owner_state: UserState,
}

/// A user who can own a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyOwner {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
}

/// A resource that a key is limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyResource {
    pub id: ResourceId,
    pub kind: ResourceKind,
    pub name: String,
}

/// Revokes the API keys of a user. Parameters: owner, time.
pub(super) const REVOKE_KEYS: &str = "UPDATE api_keys SET revoked_at = $2 WHERE owner = $1 AND revoked_at IS NULL";

/// The audit events for keys that are revoked because of a change to their owner.
pub(super) fn revoked_keys<'a>(audit: &Audit<'a>, keys: &[(ApiKeyId, String)], why: &str) -> Vec<Audit<'a>> {
    let revoked = |(id, name): &(ApiKeyId, String)| {
        let mut audit = audit.clone().saying(why.to_owned());
        audit.event.action = AuditAction::RevokeKey;
        audit.event.target = Some(AuditTarget { kind: TargetKind::ApiKey, id: *id, name: name.clone() });
        audit
    };
    keys.iter().map(revoked).collect()
}

impl Store {
    pub async fn insert_api_key(&self, new: &NewApiKey<'_>, audit: &Audit<'_>) -> Result<ApiKeyInsert, StoreError> {
        const INSERT: &str =
            "INSERT INTO api_keys (id, owner, name, hint, hash, scopes, restricted, created_at, expires_at, form_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (form_id) DO NOTHING";
        const RESOURCE: &str = "INSERT INTO api_key_resources (api_key, resource) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let result: Result<bool, StoreError> = transaction!(self, transaction => async {
            let insert = sqlx::query(INSERT)
                .bind(new.id)
                .bind(new.owner)
                .bind(new.name.as_str())
                .bind(new.hint)
                .bind(&new.hash[..])
                .bind(new.scopes.to_words())
                .bind(i64::from(new.resources.is_some()))
                .bind(new.created_at.as_millis())
                .bind(new.expires_at.map(Timestamp::as_millis))
                .bind(new.form_id);
            if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            for resource in new.resources.unwrap_or_default() {
                sqlx::query(RESOURCE).bind(new.id).bind(resource).execute(&mut *transaction).await?;
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        }.await);
        match result {
            Ok(true) => Ok(ApiKeyInsert::Inserted),
            Ok(false) => {
                // Uses the write connections, which see the row that made the insert do nothing.
                let made: Uuid = writing!(self, pool => {
                    sqlx::query_scalar(queries::API_KEY_OF_FORM).bind(new.form_id).fetch_one(pool).await?
                });
                Ok(ApiKeyInsert::AlreadyMade(made))
            }
            Err(StoreError::Failed(sqlx::Error::Database(error))) if error.is_foreign_key_violation() => Ok(ApiKeyInsert::Gone),
            Err(error) => Err(error),
        }
    }

    /// Returns the key even if it's expired or revoked.
    pub async fn api_key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKeyRow>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(queries::API_KEY_BY_HASH).bind(&hash[..]).fetch_optional(pool).await?);
        row.map(ApiKeyRow::try_from).transpose()
    }

    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(queries::API_KEY).bind(id).fetch_optional(pool).await?);
        row.map(ApiKeyRow::try_from).transpose()
    }

    /// Newest first, at most `limit`, with ids below `after`.
    pub async fn api_keys_page(&self, after: Option<ApiKeyId>, limit: i64) -> Result<Vec<ApiKeyRow>, StoreError> {
        let below = after.unwrap_or(Uuid::max());
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(queries::API_KEYS).bind(below).bind(limit).fetch_all(pool).await?);
        rows.into_iter().map(ApiKeyRow::try_from).collect()
    }

    /// The resources that a key is limited to, oldest first. Deleted resources are left out.
    pub async fn resources_of_api_key(&self, id: ApiKeyId) -> Result<Vec<ApiKeyResource>, StoreError> {
        let rows: Vec<(Uuid, String, String)> =
            reading!(self, pool => sqlx::query_as(queries::RESOURCES_OF_API_KEY).bind(id).fetch_all(pool).await?);
        let wrong = StoreError::Row { table: "resources", column: "kind" };
        let resources: Option<Vec<ApiKeyResource>> = rows
            .into_iter()
            .map(|(id, kind, name)| ResourceKind::parse(&kind).map(|kind| ApiKeyResource { id, kind, name }))
            .collect();
        resources.ok_or(wrong)
    }

    /// Records when a key was used. Keeps the later of the two times.
    pub async fn touch_api_key(&self, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        writing!(self, pool => { sqlx::query(TOUCH).bind(id).bind(at.as_millis()).execute(pool).await?; });
        Ok(())
    }

    /// False if there is no such key, or it's already revoked.
    pub async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const REVOKE: &str = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        transaction!(self, transaction => {
            let revoke = sqlx::query(REVOKE).bind(id).bind(now.as_millis());
            if revoke.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// The active user with this email address. `email_key` comes from
    /// [`Email::key`](crate::domain::users::Email::key).
    pub async fn api_key_owner(&self, email_key: &str) -> Result<Option<ApiKeyOwner>, StoreError> {
        let row: Option<OwnerRow> =
            reading!(self, pool => sqlx::query_as(queries::API_KEY_OWNER).bind(email_key).fetch_optional(pool).await?);
        row.map(ApiKeyOwner::try_from).transpose()
    }

    /// The active users in the order of their email addresses, at most `limit`.
    pub async fn api_key_owners(&self, limit: i64) -> Result<Vec<ApiKeyOwner>, StoreError> {
        let rows: Vec<OwnerRow> =
            reading!(self, pool => sqlx::query_as(queries::API_KEY_OWNERS).bind("").bind(limit).fetch_all(pool).await?);
        rows.into_iter().map(ApiKeyOwner::try_from).collect()
    }
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    name: String,
    hint: String,
    scopes: String,
    restricted: i64,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
    owner: Uuid,
    email: String,
    owner_name: String,
    role: String,
    state: String,
}

impl TryFrom<Row> for ApiKeyRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |table, column| StoreError::Row { table, column };
        let owner = OwnerRow { id: row.owner, email: row.email, name: row.owner_name, role: row.role };
        Ok(Self {
            id: row.id,
            name: row.name,
            hint: row.hint,
            scopes: Scopes::parse(&row.scopes).ok_or(wrong("api_keys", "scopes"))?,
            restricted: row.restricted != 0,
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_millis),
            last_used_at: row.last_used_at.map(Timestamp::from_millis),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
            owner: owner.try_into()?,
            owner_state: UserState::parse(&row.state).ok_or(wrong("users", "state"))?,
        })
    }
}

#[derive(FromRow)]
struct OwnerRow {
    id: Uuid,
    email: String,
    name: String,
    role: String,
}

impl TryFrom<OwnerRow> for ApiKeyOwner {
    type Error = StoreError;

    fn try_from(row: OwnerRow) -> Result<Self, StoreError> {
        let role = Role::parse(&row.role).ok_or(StoreError::Row { table: "users", column: "role" })?;
        Ok(Self { id: row.id, email: row.email, name: row.name, role })
    }
}
