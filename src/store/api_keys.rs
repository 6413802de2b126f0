//! API keys: only their hashes, with whose they are and what they may do.

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
    /// Its id.
    pub id: ApiKeyId,
    /// Whose rights it has at most.
    pub owner: UserId,
    /// Its name.
    pub name: &'a Name,
    /// Its first letters.
    pub hint: &'a str,
    /// Its hash.
    pub hash: &'a [u8; 32],
    /// What it may do.
    pub scopes: Scopes,
    /// The resources that it is only for; `None` for all that the owner may use.
    pub resources: Option<&'a [ResourceId]>,
    /// When it is made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// The form that was sent; the same form makes one key, however often it is sent.
    pub form_id: Uuid,
}

/// What came of storing a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeyInsert {
    /// It is stored.
    Inserted,
    /// The same form has already made this key.
    AlreadyMade(ApiKeyId),
    /// The owner or one of the resources does not exist any more.
    Gone,
}

/// A stored key and the account that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// Its first letters.
    pub hint: String,
    /// What it may do.
    pub scopes: Scopes,
    /// True if it is only for the resources of [`Store::resources_of_api_key`].
    pub restricted: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Whose it is.
    pub owner: ApiKeyOwner,
    /// Whether the account can be used.
    pub owner_state: UserState,
}

/// An account that a key can belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyOwner {
    /// Its id.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The name of the person.
    pub name: String,
    /// Its role.
    pub role: Role,
}

/// A resource that a key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyResource {
    /// Its id.
    pub id: ResourceId,
    /// Source or destination.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
}

/// Revokes the API keys of an account: the account, the time.
pub(super) const REVOKE_KEYS: &str = "UPDATE api_keys SET revoked_at = $2 WHERE owner = $1 AND revoked_at IS NULL";

/// The events of API keys that are revoked with something that happens to their owner.
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
    /// Stores a key.
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
                // Asked of the connections that write: these see what made the insertion give way.
                let made: Uuid = writing!(self, pool => {
                    sqlx::query_scalar(queries::API_KEY_OF_FORM).bind(new.form_id).fetch_one(pool).await?
                });
                Ok(ApiKeyInsert::AlreadyMade(made))
            }
            Err(StoreError::Failed(sqlx::Error::Database(error))) if error.is_foreign_key_violation() => Ok(ApiKeyInsert::Gone),
            Err(error) => Err(error),
        }
    }

    /// The key of this hash, whether or not it can still be used.
    pub async fn api_key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKeyRow>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(queries::API_KEY_BY_HASH).bind(&hash[..]).fetch_optional(pool).await?);
        row.map(ApiKeyRow::try_from).transpose()
    }

    /// One key.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(queries::API_KEY).bind(id).fetch_optional(pool).await?);
        row.map(ApiKeyRow::try_from).transpose()
    }

    /// The keys, newest first, at most `limit`, beginning below `after`.
    pub async fn api_keys_page(&self, after: Option<ApiKeyId>, limit: i64) -> Result<Vec<ApiKeyRow>, StoreError> {
        let below = after.unwrap_or(Uuid::max());
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(queries::API_KEYS).bind(below).bind(limit).fetch_all(pool).await?);
        rows.into_iter().map(ApiKeyRow::try_from).collect()
    }

    /// The resources that a key is for, the oldest first. One that was deleted is not among them any more.
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

    /// Notes that a key was used. Keeps the later of two times.
    pub async fn touch_api_key(&self, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        writing!(self, pool => { sqlx::query(TOUCH).bind(id).bind(at.as_millis()).execute(pool).await?; });
        Ok(())
    }

    /// Revokes a key. True if there was one that was not revoked before.
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

    /// The active account of an e-mail address, by the key of [`Email::key`](crate::domain::users::Email::key).
    pub async fn api_key_owner(&self, email_key: &str) -> Result<Option<ApiKeyOwner>, StoreError> {
        let row: Option<OwnerRow> =
            reading!(self, pool => sqlx::query_as(queries::API_KEY_OWNER).bind(email_key).fetch_optional(pool).await?);
        row.map(ApiKeyOwner::try_from).transpose()
    }

    /// The active accounts in the order of their e-mail addresses, at most `limit`.
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
