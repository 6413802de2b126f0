//! Credentials: storing one with its secret and verification, finding and listing them, deleting.

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

/// The longest search text, in bytes. A longer one can't be part of a name or description that people write.
const SEARCH_MAX: usize = 2_000;

/// A credential to be stored. Its status comes from its verification: a credential can't be stored
/// unverified.
#[derive(Debug)]
pub struct NewCredential<'a> {
    pub id: CredentialId,
    pub connector: &'a ConnectorId,
    /// Unique for its owner and connector.
    pub name: &'a Name,
    pub description: &'a Description,
    pub owner: UserId,
    /// A keyed hash of the fields that identify the account at the service.
    pub fingerprint: Vec<u8>,
    pub created_at: Timestamp,
    /// Sealed for `Place::credential_secret(id, 1, connector)`.
    pub secret: Sealed,
    pub verification: NewVerification,
    /// The draft to use up, if there is one.
    pub draft: Option<DraftKey>,
}

/// A draft, and the user it must belong to.
#[derive(Debug, Clone, Copy)]
pub struct DraftKey {
    pub id: Uuid,
    pub owner: UserId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialInsert {
    /// It is stored, and its draft is used up.
    Inserted,
    /// The owner has another credential of the same connector with this name. The draft is unchanged.
    NameTaken,
    /// The same draft has already been saved as this credential.
    AlreadySaved(CredentialId),
    /// The owner is disabled, or their role may no longer own credentials.
    NotAllowed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialDelete {
    /// Deleted with its secrets, verifications and access token.
    Deleted,
    /// This many resources use it. Nothing is deleted.
    InUse(i64),
    /// It has changed since it was seen.
    Outdated,
    /// There is no such credential that this user may manage.
    NotFound,
}

/// Which credentials a page shows.
#[derive(Debug, Clone, Copy)]
pub struct CredentialQuery<'a> {
    /// The user who looks. Only credentials they may use are found.
    pub viewer: UserId,
    pub connector: Option<&'a ConnectorId>,
    /// Only credentials with this text in their name or description; a key from [`name_key`].
    pub search: Option<&'a str>,
    /// The last credential of the previous page.
    pub after: Option<CredentialId>,
    pub limit: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRow {
    pub summary: CredentialSummary,
    /// Sealed for `Place::credential_secret(id, version, connector)`.
    pub secret: Sealed,
    /// The number of resources that use it.
    pub used_by: i64,
    /// `None` for credentials from before the first user was created.
    pub owner: Option<Owner>,
    pub sharing: Sharing,
    /// The viewer's access, before their role limits it.
    pub access: Option<Access>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub id: UserId,
    pub name: String,
    pub email: String,
}

impl Store {
    /// Stores a credential with its secret and verification, and uses up its draft, all or nothing.
    ///
    /// The draft is claimed first, so that of several submissions of one form, one stores the credential and
    /// the others learn its id.
    pub async fn insert_credential(&self, new: &NewCredential<'_>, audit: &Audit<'_>) -> Result<CredentialInsert, StoreError> {
        // Changes nothing, but keeps the owner's role and state until the transaction ends. A verification
        // takes time, in which an administrator may have disabled the owner.
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

    /// The credentials that the viewer may use, newest first.
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

    /// Checks no access. Use it only on behalf of a resource or the owner; otherwise use
    /// [`Self::credential_for`].
    pub async fn credential(&self, id: CredentialId) -> Result<Option<CredentialRow>, StoreError> {
        self.credential_row(Uuid::nil(), id).await
    }

    /// `None` if the viewer may not use it.
    pub async fn credential_for(&self, viewer: UserId, id: CredentialId) -> Result<Option<CredentialRow>, StoreError> {
        Ok(self.credential_row(viewer, id).await?.filter(|row| row.access.is_some()))
    }

    async fn credential_row(&self, viewer: UserId, id: CredentialId) -> Result<Option<CredentialRow>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(queries::CREDENTIAL).bind(viewer).bind(id).fetch_optional(pool).await?);
        row.map(CredentialRow::try_from).transpose()
    }

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

    /// The names of up to 20 credentials of a connector with this fingerprint that the viewer may use, except
    /// one.
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

    /// Credentials that the viewer may use and whose last verification didn't pass, newest first, at most
    /// `limit`.
    pub async fn credentials_needing_attention(&self, viewer: UserId, limit: i64) -> Result<Vec<CredentialRow>, StoreError> {
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(queries::ATTENTION).bind(viewer).bind(limit).fetch_all(pool).await?);
        rows.into_iter().map(CredentialRow::try_from).collect()
    }

    /// Deletes a credential that no resource uses, if the user may manage it at this moment. The foreign key
    /// decides: a resource that is created at the same moment either keeps its credential or is rejected.
    /// `seen` is the state that the credential must still have, if given.
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
                // There was at least one when the deletion was rejected, even if it's gone by now.
                Ok(CredentialDelete::InUse(used_by.max(1)))
            }
            Some(error) => Err(error.into()),
        }
    }
}

/// The LIKE pattern for text at any position; `None` if nothing can contain the text.
pub(in crate::store) fn like_pattern(search: &str) -> Option<String> {
    // PostgreSQL accepts no text with a NUL, and SQLite limits the length of a pattern.
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

/// Parses the access that a statement returned.
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
    /// The email address, which contains no blank, then a blank and the name.
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
