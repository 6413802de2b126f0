//! Credentials: saving one with its secret and its verification, finding and paging them, deleting.

use sqlx::FromRow;
use uuid::Uuid;

use super::verifications::insert_verification;
use crate::{
    crypto::envelope::Sealed,
    domain::{
        access::permission::{Access, Sharing},
        audit::Audit,
        connectors::ConnectorId,
        credentials::{CredentialId, CredentialStatus, CredentialSummary},
        naming::{Description, Name, name_key},
        time::Timestamp,
        users::UserId,
    },
    store::{
        NewVerification, Store, StoreError,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        database::{reading, transaction},
        queries::{self, statements::access},
    },
};

/// The longest search that is looked for, in bytes. No name or description that people write is found
/// by a longer one.
const SEARCH_MAX: usize = 2_000;

/// A credential to be stored. Its status and the time it was verified are those of its verification:
/// what has not been verified cannot be stored.
#[derive(Debug)]
pub struct NewCredential<'a> {
    /// Its id.
    pub id: CredentialId,
    /// The connector whose fields it fills.
    pub connector: &'a ConnectorId,
    /// Its name, unique for its owner and connector.
    pub name: &'a Name,
    /// Its description.
    pub description: &'a Description,
    /// Whose it is.
    pub owner: UserId,
    /// A keyed hash of what identifies the account.
    pub fingerprint: Vec<u8>,
    /// When it is saved.
    pub created_at: Timestamp,
    /// Its field values, sealed for `Place::credential_secret(id, 1, connector)`.
    pub secret: Sealed,
    /// The verification that it passed.
    pub verification: NewVerification,
    /// The draft that it comes from.
    pub draft: Option<DraftKey>,
}

/// A draft, and the person that it must belong to.
#[derive(Debug, Clone, Copy)]
pub struct DraftKey {
    /// The id of the draft.
    pub id: Uuid,
    /// Whose it is.
    pub owner: UserId,
}

/// What came of storing a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialInsert {
    /// It is stored, and its draft is used up.
    Inserted,
    /// The owner has another credential of its connector with this name; the draft is as it was.
    NameTaken,
    /// The same draft has already been saved as this credential.
    AlreadySaved(CredentialId),
    /// The account of the owner is disabled, or its role may not own credentials any more.
    NotAllowed,
}

/// What came of deleting a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialDelete {
    /// It is gone, with its secrets, verifications and access token.
    Deleted,
    /// So many resources use it; nothing is deleted.
    InUse(i64),
    /// It is another by now than the one that was seen.
    Outdated,
    /// There is no such credential that this person may manage.
    NotFound,
}

/// Which credentials a page shows.
#[derive(Debug, Clone, Copy)]
pub struct CredentialQuery<'a> {
    /// Who looks; only what they may use is found.
    pub viewer: UserId,
    /// Only those of this connector.
    pub connector: Option<&'a ConnectorId>,
    /// Only those that have this in their name or description; a key as [`name_key`] makes it.
    pub search: Option<&'a str>,
    /// The last one of the page before.
    pub after: Option<CredentialId>,
    /// How many at most.
    pub limit: i64,
}

/// A stored credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRow {
    /// What is readable of it.
    pub summary: CredentialSummary,
    /// Its field values, sealed for `Place::credential_secret(id, version, connector)` of the summary.
    pub secret: Sealed,
    /// How many resources use it.
    pub used_by: i64,
    /// Whose it is; nobody's before the first account was made.
    pub owner: Option<Owner>,
    /// Whether it is open to all.
    pub sharing: Sharing,
    /// What the viewer may do with it, whatever their role.
    pub access: Option<Access>,
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The account.
    pub id: UserId,
    /// The name of the person.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl Store {
    /// Stores a credential with its secret and its verification, and uses up its draft, all or nothing.
    ///
    /// The draft is claimed first, so that of several submissions of one form, one stores the
    /// credential and the others learn of it.
    pub async fn insert_credential(&self, new: &NewCredential<'_>, audit: &Audit<'_>) -> Result<CredentialInsert, StoreError> {
        // Sets nothing, but keeps role and state of the owner as they are until the transaction ends: a verification
        // takes its time, in which an administrator may have stopped whoever asked for it.
        const OWNER: &str =
            "UPDATE users SET version = version WHERE id = $1 AND state = 'active' AND role IN ('administrator', 'editor')";
        const CLAIM: &str = "UPDATE drafts SET credential = $1, sealed = NULL WHERE id = $2 AND owner = $3 AND credential IS NULL";
        const CLAIMED: &str = "SELECT credential FROM drafts WHERE id = $1 AND owner = $2 AND credential IS NOT NULL";
        const CREDENTIAL: &str = "INSERT INTO credentials (id, connector, owner, name, name_key, description, search_key, fingerprint,
                status, verified_at, created_at, version, sharing)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, 'private') ON CONFLICT (connector, owner, name_key) DO NOTHING";
        const SECRET: &str =
            "INSERT INTO credential_secrets (credential, version, state, created_at, key_id, wrapped_key, ciphertext)
            VALUES ($1, 1, 'active', $2, $3, $4, $5)";
        let key = new.name.key();
        let search_key = format!("{key}\n{}", name_key(new.description.as_str()));
        transaction!(self, transaction => {
            if sqlx::query(OWNER).bind(new.owner).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(CredentialInsert::NotAllowed);
            }
            if let Some(draft) = &new.draft {
                let claim = sqlx::query(CLAIM).bind(new.id).bind(draft.id).bind(draft.owner);
                if claim.execute(&mut *transaction).await?.rows_affected() == 0 {
                    let claimed = sqlx::query_scalar(CLAIMED).bind(draft.id).bind(draft.owner);
                    if let Some(saved) = claimed.fetch_optional(&mut *transaction).await? {
                        return Ok(CredentialInsert::AlreadySaved(saved));
                    }
                }
            }
            let credential = sqlx::query(CREDENTIAL)
                .bind(new.id)
                .bind(new.connector.as_str())
                .bind(new.owner)
                .bind(new.name.as_str())
                .bind(&key)
                .bind(new.description.as_str())
                .bind(&search_key)
                .bind(&new.fingerprint[..])
                .bind(new.verification.status.as_str())
                .bind(new.verification.at.as_millis())
                .bind(new.created_at.as_millis());
            if credential.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(CredentialInsert::NameTaken);
            }
            let secret = sqlx::query(SECRET)
                .bind(new.id)
                .bind(new.created_at.as_millis())
                .bind(&new.secret.key_id)
                .bind(&new.secret.wrapped_key[..])
                .bind(&new.secret.ciphertext[..]);
            secret.execute(&mut *transaction).await?;
            insert_verification!(transaction, new.id, &new.verification)?;
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(CredentialInsert::Inserted)
        })
    }

    /// A page of the credentials that the viewer may use, newest first.
    pub async fn credentials_page(&self, query: &CredentialQuery<'_>) -> Result<Vec<CredentialRow>, StoreError> {
        let (viewer, limit) = (query.viewer, query.limit);
        let below = query.after.unwrap_or(Uuid::max());
        let pattern = match query.search.map(like_pattern) {
            Some(None) => return Ok(Vec::new()),
            Some(pattern) => pattern,
            None => None,
        };
        let rows: Vec<Row> = reading!(self, pool => {
            let page = match (query.connector, &pattern) {
                (Some(connector), None) => {
                    sqlx::query_as(queries::TILES).bind(viewer).bind(connector.as_str()).bind(below).bind(limit)
                }
                (Some(connector), Some(pattern)) => {
                    let tiles = sqlx::query_as(queries::TILES_FOUND).bind(viewer).bind(connector.as_str());
                    tiles.bind(below).bind(limit).bind(pattern)
                }
                (None, None) => sqlx::query_as(queries::CREDENTIALS).bind(viewer).bind(below).bind(limit),
                (None, Some(pattern)) => {
                    sqlx::query_as(queries::CREDENTIALS_FOUND).bind(viewer).bind(below).bind(limit).bind(pattern)
                }
            };
            page.fetch_all(pool).await?
        });
        rows.into_iter().map(CredentialRow::try_from).collect()
    }

    /// One credential, whoever may use it. Only for what acts for a resource or for its owner: what is done for
    /// somebody else asks for [`Self::credential_for`].
    pub async fn credential(&self, id: CredentialId) -> Result<Option<CredentialRow>, StoreError> {
        self.credential_row(Uuid::nil(), id).await
    }

    /// One credential, if the viewer may use it.
    pub async fn credential_for(&self, viewer: UserId, id: CredentialId) -> Result<Option<CredentialRow>, StoreError> {
        Ok(self.credential_row(viewer, id).await?.filter(|row| row.access.is_some()))
    }

    async fn credential_row(&self, viewer: UserId, id: CredentialId) -> Result<Option<CredentialRow>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(queries::CREDENTIAL).bind(viewer).bind(id).fetch_optional(pool).await?);
        row.map(CredentialRow::try_from).transpose()
    }

    /// The credential of a connector and owner that has a name with this key.
    pub async fn credential_named(
        &self,
        connector: &ConnectorId,
        owner: UserId,
        name_key: &str,
    ) -> Result<Option<CredentialId>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_scalar(queries::CREDENTIAL_NAMED).bind(connector.as_str()).bind(owner).bind(name_key).fetch_optional(pool).await?
        }))
    }

    /// The names of a connector's credentials that have this fingerprint and that the viewer may use, but for one; at
    /// most 20.
    pub async fn credentials_with_fingerprint(
        &self,
        viewer: UserId,
        connector: &ConnectorId,
        fingerprint: &[u8],
        except: Option<CredentialId>,
    ) -> Result<Vec<String>, StoreError> {
        let except = except.unwrap_or(Uuid::nil());
        Ok(reading!(self, pool => {
            let lookup = sqlx::query_scalar(queries::FINGERPRINT);
            lookup.bind(viewer).bind(connector.as_str()).bind(fingerprint).bind(except).fetch_all(pool).await?
        }))
    }

    /// Credentials that the viewer may use and that did not work when they were last tried, newest first, at most
    /// `limit`.
    pub async fn credentials_needing_attention(&self, viewer: UserId, limit: i64) -> Result<Vec<CredentialRow>, StoreError> {
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(queries::ATTENTION).bind(viewer).bind(limit).fetch_all(pool).await?);
        rows.into_iter().map(CredentialRow::try_from).collect()
    }

    /// Deletes a credential that no resource uses, for somebody who may manage it at this moment. The foreign key
    /// decides, so that a resource which is made at the same moment either keeps its credential or is refused. `seen` is
    /// what it still has to be, if that matters.
    pub async fn delete_credential(
        &self,
        manager: UserId,
        id: CredentialId,
        seen: Option<&CredentialSummary>,
        audit: &Audit<'_>,
    ) -> Result<CredentialDelete, StoreError> {
        const DELETE: &str = concat!(
            "DELETE FROM credentials AS c WHERE c.id = $2 AND c.version = COALESCE($3, c.version)
            AND c.name = COALESCE($4, c.name) AND c.description = COALESCE($5, c.description) AND ",
            access!(),
            " = 'manage'"
        );
        let refused = transaction!(self, transaction => {
            let delete = sqlx::query(DELETE)
                .bind(manager)
                .bind(id)
                .bind(seen.map(|seen| seen.version))
                .bind(seen.map(|seen| seen.name.as_str()))
                .bind(seen.map(|seen| seen.description.as_str()));
            match delete.execute(&mut *transaction).await.map(|done| done.rows_affected()) {
                Ok(0) => None,
                Ok(_) => {
                    bump_access_epoch!(transaction);
                    append_audit!(transaction, audit);
                    transaction.commit().await?;
                    return Ok(CredentialDelete::Deleted);
                }
                Err(error) => Some(error),
            }
        });
        match refused {
            None => {
                let managed = |row: CredentialRow| row.access == Some(Access::Manage);
                let is_there = seen.is_some() && self.credential_for(manager, id).await?.is_some_and(managed);
                Ok(if is_there { CredentialDelete::Outdated } else { CredentialDelete::NotFound })
            }
            Some(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                let used_by: i64 =
                    reading!(self, pool => sqlx::query_scalar(queries::RESOURCE_COUNT).bind(id).fetch_one(pool).await?);
                // There was one when the deletion was refused, even if it is gone by now.
                Ok(CredentialDelete::InUse(used_by.max(1)))
            }
            Some(error) => Err(error.into()),
        }
    }
}

/// The LIKE pattern for a text that may stand anywhere; `None` if nothing can contain it.
pub(in crate::store) fn like_pattern(search: &str) -> Option<String> {
    // PostgreSQL takes no text with a NUL, and SQLite no pattern without end.
    if search.contains('\0') || search.len() > SEARCH_MAX {
        return None;
    }
    let mut pattern = String::with_capacity(search.len() + 2);
    pattern.push('%');
    for character in search.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Some(pattern)
}

/// What the viewer may do, as a statement answers it.
pub(in crate::store) fn access_of(word: Option<String>) -> Result<Option<Access>, StoreError> {
    let wrong = StoreError::Row { table: "credential_shares", column: "access" };
    word.map(|word| Access::parse(&word).ok_or(wrong)).transpose()
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    connector: String,
    name: String,
    description: String,
    status: String,
    verified_at: i64,
    created_at: i64,
    version: i64,
    key_id: String,
    wrapped_key: Vec<u8>,
    ciphertext: Vec<u8>,
    used_by: i64,
    owner: Option<Uuid>,
    /// The e-mail address, which has no blank, a blank and the name.
    owned_by: Option<String>,
    sharing: String,
    access: Option<String>,
}

impl TryFrom<Row> for CredentialRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "credentials", column };
        Ok(Self {
            summary: CredentialSummary {
                id: row.id,
                connector: ConnectorId::new(&row.connector).ok_or(wrong("connector"))?,
                name: row.name,
                description: row.description,
                status: CredentialStatus::parse(&row.status).ok_or(wrong("status"))?,
                verified_at: Timestamp::from_millis(row.verified_at),
                created_at: Timestamp::from_millis(row.created_at),
                version: row.version,
            },
            secret: Sealed { key_id: row.key_id, wrapped_key: row.wrapped_key, ciphertext: row.ciphertext },
            used_by: row.used_by,
            owner: row.owner.map(|id| {
                let owned_by = row.owned_by.unwrap_or_default();
                let (email, name) = owned_by.split_once(' ').unwrap_or_default();
                Owner { id, name: name.to_owned(), email: email.to_owned() }
            }),
            sharing: Sharing::parse(&row.sharing).ok_or(wrong("sharing"))?,
            access: access_of(row.access)?,
        })
    }
}
