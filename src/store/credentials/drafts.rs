//! Drafts: what a user typed into a credential form, sealed for that user. A saved draft holds only the id of
//! the credential that it became.

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{connectors::ConnectorId, credentials::CredentialId, time::Timestamp, users::UserId},
    store::{
        Store, StoreError,
        database::{reading, writing},
        queries,
    },
};

#[derive(Debug, Clone)]
pub struct NewDraft {
    /// The id of the submitted form. A draft with the same id is replaced.
    pub id: Uuid,
    pub owner: UserId,
    pub connector: ConnectorId,
    /// Sealed for `Place::draft(id, version, owner, connector)`.
    pub sealed: Vec<u8>,
    /// The version that it's sealed for.
    pub version: i64,
    /// When the form was submitted.
    pub updated_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRow {
    /// The id of the submitted form.
    pub id: Uuid,
    pub owner: UserId,
    pub connector: ConnectorId,
    pub state: DraftState,
    /// The version that it's sealed for.
    pub version: i64,
    /// When the form was last submitted.
    pub updated_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftState {
    /// Not saved yet. Holds the sealed values that were typed.
    Open(Vec<u8>),
    /// Saved as this credential. The typed values are erased.
    SavedAs(CredentialId),
}

/// The most open drafts that a user keeps when another is added: more windows than anyone has open.
const DRAFTS_MAX: i64 = 20;

impl Store {
    /// Stores or replaces a draft. First deletes all but the user's newest `DRAFTS_MAX` open drafts. False,
    /// with the draft unchanged, if the draft with this id belongs to another user or connector or is already
    /// saved, or if its owner no longer exists.
    pub async fn put_draft(&self, draft: &NewDraft) -> Result<bool, StoreError> {
        const UPSERT: &str = "INSERT INTO drafts (id, owner, connector, sealed, version, updated_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, version = excluded.version,
                updated_at = excluded.updated_at, expires_at = excluded.expires_at
            WHERE drafts.owner = excluded.owner AND drafts.connector = excluded.connector AND drafts.credential IS NULL";
        const OLDEST: &str = "DELETE FROM drafts WHERE owner = $1 AND credential IS NULL AND id IN
            (SELECT id FROM drafts WHERE owner = $1 AND credential IS NULL ORDER BY updated_at DESC LIMIT 1000 OFFSET $2)";
        let result = writing!(self, pool => {
            sqlx::query(OLDEST).bind(draft.owner).bind(DRAFTS_MAX).execute(pool).await?;
            let upsert = sqlx::query(UPSERT)
                .bind(draft.id)
                .bind(draft.owner)
                .bind(draft.connector.as_str())
                .bind(&draft.sealed[..])
                .bind(draft.version)
                .bind(draft.updated_at.as_millis())
                .bind(draft.expires_at.as_millis());
            upsert.execute(pool).await.map(|done| done.rows_affected())
        });
        match result {
            Ok(changed) => Ok(changed == 1),
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A draft of this user that hasn't expired, whether saved or not.
    pub async fn draft(&self, id: Uuid, owner: UserId, now: Timestamp) -> Result<Option<DraftRow>, StoreError> {
        let row: Option<Row> = reading!(self, pool => {
            sqlx::query_as(queries::DRAFT).bind(id).bind(owner).bind(now.as_millis()).fetch_optional(pool).await?
        });
        row.map(DraftRow::try_from).transpose()
    }

    /// The draft of this user and connector that was submitted last, hasn't expired and isn't saved.
    pub async fn latest_open_draft(
        &self,
        owner: UserId,
        connector: &ConnectorId,
        now: Timestamp,
    ) -> Result<Option<DraftRow>, StoreError> {
        let row: Option<Row> = reading!(self, pool => {
            let lookup = sqlx::query_as(queries::LATEST_OPEN_DRAFT);
            lookup.bind(owner).bind(connector.as_str()).bind(now.as_millis()).fetch_optional(pool).await?
        });
        row.map(DraftRow::try_from).transpose()
    }

    /// Deletes a draft of this user. False if there is none.
    pub async fn delete_draft(&self, id: Uuid, owner: UserId) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM drafts WHERE id = $1 AND owner = $2";
        let deleted = writing!(self, pool => sqlx::query(DELETE).bind(id).bind(owner).execute(pool).await?.rows_affected());
        Ok(deleted == 1)
    }
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    owner: Uuid,
    connector: String,
    credential: Option<Uuid>,
    sealed: Option<Vec<u8>>,
    version: i64,
    updated_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for DraftRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "drafts", column };
        let state = match (row.credential, row.sealed) {
            (Some(credential), None) => DraftState::SavedAs(credential),
            (None, Some(sealed)) => DraftState::Open(sealed),
            _ => return Err(wrong("sealed")),
        };
        Ok(Self {
            id: row.id,
            owner: row.owner,
            connector: ConnectorId::new(&row.connector).ok_or(wrong("connector"))?,
            state,
            version: row.version,
            updated_at: Timestamp::from_millis(row.updated_at),
            expires_at: Timestamp::from_millis(row.expires_at),
        })
    }
}
