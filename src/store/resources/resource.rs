//! Resources: sources and destinations. The endpoint of a resource is sealed; the link to its credential
//! isn't.

use std::ops::RangeInclusive;

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{
        access::permission::Access,
        audit::Audit,
        connectors::ConnectorId,
        credentials::{CredentialId, CredentialStatus},
        naming::{Description, Name},
        resources::{ResourceDelete, ResourceId, ResourceKind},
        time::Timestamp,
        users::UserId,
    },
    store::{
        Store, StoreError,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        credentials::credential::access_of,
        database::{reading, transaction, writing},
        queries::{self, statements::access},
    },
};

#[derive(Debug, Clone)]
pub struct NewResource<'a> {
    pub id: ResourceId,
    pub kind: ResourceKind,
    pub owner: UserId,
    /// Unique for its owner and kind.
    pub name: &'a Name,
    pub description: &'a Description,
    /// The connector of its credential.
    pub connector: &'a ConnectorId,
    pub credential: CredentialId,
    /// Sealed for `Place::resource_endpoint(id, 1, connector)`.
    pub endpoint: &'a [u8],
    pub created_at: Timestamp,
    /// The id of the submitted form. Submitting the same form again creates no second resource.
    pub form_id: Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceInsert {
    Inserted,
    /// The owner has another resource of the same kind with this name.
    NameTaken,
    /// The same form has already created this resource.
    AlreadyCreated(ResourceId),
    /// The owner may no longer use the credential, or it's of another connector.
    CredentialGone,
}

/// The new state of a resource.
#[derive(Debug, Clone)]
pub struct ResourceUpdate<'a> {
    /// The user who changes it. Must still be allowed to at the moment of the change.
    pub person: UserId,
    pub id: ResourceId,
    /// The version that the user saw. Any change since makes this one fail.
    pub seen: i64,
    pub name: &'a Name,
    pub description: &'a Description,
    pub credential: CredentialId,
    /// Sealed for `Place::resource_endpoint(id, endpoint_version, connector)`.
    pub endpoint: &'a [u8],
    /// The version that `endpoint` is sealed for.
    pub endpoint_version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceChange {
    /// It is changed, and its version has increased by one.
    Changed,
    /// It was changed since the version that the user saw.
    Outdated,
    /// The user may no longer use the credential, or it's of another connector.
    CredentialGone,
    /// Its owner has another resource of the same kind with this name.
    NameTaken,
    /// There is no such resource that this user may change.
    NotFound,
}

/// A stored resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRow {
    pub id: ResourceId,
    /// `None` for resources from before the first user was created.
    pub owner: Option<UserId>,
    pub kind: ResourceKind,
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The connector it was created with.
    pub connector: ConnectorId,
    pub credential: CredentialId,
    /// Sealed for `Place::resource_endpoint(id, endpoint_version, connector)`.
    pub endpoint: Vec<u8>,
    /// The version that `endpoint` is sealed for. Changing the credential doesn't change it.
    pub endpoint_version: i64,
    pub created_at: Timestamp,
    /// Increases by one with every change; starts at 1.
    pub version: i64,
    pub credential_name: String,
    /// The result of the credential's last verification.
    pub credential_status: CredentialStatus,
    /// The viewer's access to the credential, before their role limits it. Without access, the resource
    /// doesn't exist for them.
    pub access: Option<Access>,
}

/// Up to this many visible credentials, the resources are found by way of the credentials.
const FEW: i64 = 100;

/// Whether the user (`$1`) may change the resource `r`: they own it and may use its credential, or they
/// manage its credential.
macro_rules! may_change {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM credentials c WHERE c.id = r.credential AND (",
            access!(),
            " = 'manage' OR (r.owner = $1 AND ",
            access!(),
            " IS NOT NULL)))"
        )
    };
}

impl Store {
    /// Stores a resource, if its owner may use its credential at this moment.
    pub async fn insert_resource(&self, new: &NewResource<'_>, audit: &Audit<'_>) -> Result<ResourceInsert, StoreError> {
        const INSERT: &str = concat!(
            "INSERT INTO resources (id, owner, kind, name, name_key, description, connector, credential, endpoint,
                endpoint_version, created_at, version, form_id)
            SELECT $2, $1, $3, $4, $5, $6, $7, $8, $9, 1, $10, 1, $11 FROM credentials c
            WHERE c.id = $8 AND c.connector = $7 AND ",
            access!(),
            " IS NOT NULL ON CONFLICT DO NOTHING"
        );
        let name_key = new.name.key();
        let result = transaction!(self, transaction => {
            let insert = sqlx::query(INSERT)
                .bind(new.owner)
                .bind(new.id)
                .bind(new.kind.as_str())
                .bind(new.name.as_str())
                .bind(&name_key)
                .bind(new.description.as_str())
                .bind(new.connector.as_str())
                .bind(new.credential)
                .bind(new.endpoint)
                .bind(new.created_at.as_millis())
                .bind(new.form_id);
            let inserted = insert.execute(&mut *transaction).await.map(|done| done.rows_affected());
            if matches!(inserted, Ok(1)) {
                append_audit!(transaction, audit);
                transaction.commit().await?;
            }
            inserted
        });
        match result {
            Ok(1) => Ok(ResourceInsert::Inserted),
            Ok(_) => {
                // Uses the write connections, which see the row that made the insert do nothing.
                let made: Option<Uuid> = writing!(self, pool => {
                    sqlx::query_scalar(queries::RESOURCE_OF_FORM).bind(new.form_id).bind(new.owner).fetch_optional(pool).await?
                });
                if let Some(made) = made {
                    return Ok(ResourceInsert::AlreadyCreated(made));
                }
                let named: Option<Uuid> = writing!(self, pool => {
                    let named = sqlx::query_scalar(queries::RESOURCE_NAMED);
                    named.bind(new.kind.as_str()).bind(new.owner).bind(&name_key).fetch_optional(pool).await?
                });
                Ok(named.map_or(ResourceInsert::CredentialGone, |_| ResourceInsert::NameTaken))
            }
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(ResourceInsert::CredentialGone),
            Err(error) => Err(error.into()),
        }
    }

    /// `None` if the viewer may not use its credential.
    pub async fn resource(&self, viewer: UserId, id: ResourceId) -> Result<Option<ResourceRow>, StoreError> {
        Ok(self.resource_row(viewer, id).await?.filter(|row| row.access.is_some()))
    }

    /// Checks no access. Only for commands on the server.
    pub async fn any_resource(&self, id: ResourceId) -> Result<Option<ResourceRow>, StoreError> {
        self.resource_row(Uuid::nil(), id).await
    }

    async fn resource_row(&self, viewer: UserId, id: ResourceId) -> Result<Option<ResourceRow>, StoreError> {
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(queries::RESOURCE).bind(viewer).bind(id).fetch_optional(pool).await?);
        row.map(ResourceRow::try_from).transpose()
    }

    /// The resources of a kind whose credential the viewer may use, newest first, at most `limit`, with ids
    /// below `after`.
    pub async fn resources_page(
        &self,
        viewer: UserId,
        kind: ResourceKind,
        after: Option<ResourceId>,
        limit: i64,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        let below = after.unwrap_or(Uuid::max());
        let seen: i64 = reading!(self, pool => {
            sqlx::query_scalar(queries::VISIBLE_COUNT).bind(viewer).bind(FEW + 1).fetch_one(pool).await?
        });
        let rows: Vec<Row> = reading!(self, pool => {
            let page = sqlx::query_as(if seen > FEW { queries::RESOURCES } else { queries::RESOURCES_OF_FEW });
            let page = page.bind(viewer).bind(kind.as_str()).bind(below).bind(limit);
            if seen > FEW { page } else { page.bind(FEW) }.fetch_all(pool).await?
        });
        rows.into_iter().map(ResourceRow::try_from).collect()
    }

    /// Newest first, at most `limit`. Everyone who may use the credential may see all of them.
    pub async fn resources_of_credential(
        &self,
        viewer: UserId,
        credential: CredentialId,
        limit: i64,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        let rows: Vec<Row> = reading!(self, pool => {
            sqlx::query_as(queries::RESOURCES_OF_CREDENTIAL).bind(viewer).bind(credential).bind(limit).fetch_all(pool).await?
        });
        rows.into_iter().map(ResourceRow::try_from).collect()
    }

    /// The resource that one of these forms created, and the form's id.
    pub async fn resource_of_forms(&self, forms: RangeInclusive<Uuid>) -> Result<Option<(Uuid, ResourceId)>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_as(queries::RESOURCE_OF_FORMS).bind(forms.start()).bind(forms.end()).fetch_optional(pool).await?
        }))
    }

    /// Changes a resource, all or nothing, if it still has the version that the user saw, and if at this
    /// moment the user may change it and use its credential.
    pub async fn change_resource(&self, change: &ResourceUpdate<'_>, audit: &Audit<'_>) -> Result<ResourceChange, StoreError> {
        const UPDATE: &str = concat!(
            "UPDATE resources AS r SET name = $3, name_key = $4, description = $5, credential = $6, endpoint = $7,
                endpoint_version = $8, version = version + 1
            WHERE r.id = $2 AND r.version = $9 AND ",
            may_change!(),
            " AND EXISTS (SELECT 1 FROM credentials c
                WHERE c.id = $6 AND c.connector = r.connector AND ",
            access!(),
            " IS NOT NULL)"
        );
        let (person, id) = (change.person, change.id);
        let name_key = change.name.key();
        let result = transaction!(self, transaction => {
            let update = sqlx::query(UPDATE)
                .bind(person)
                .bind(id)
                .bind(change.name.as_str())
                .bind(&name_key)
                .bind(change.description.as_str())
                .bind(change.credential)
                .bind(change.endpoint)
                .bind(change.endpoint_version)
                .bind(change.seen);
            let changed = update.execute(&mut *transaction).await.map(|done| done.rows_affected());
            if matches!(changed, Ok(1)) {
                bump_access_epoch!(transaction);
                append_audit!(transaction, audit);
                transaction.commit().await?;
            }
            changed
        });
        match result {
            Ok(1) => Ok(ResourceChange::Changed),
            Ok(_) => Ok(match self.resource(person, id).await? {
                None => ResourceChange::NotFound,
                Some(row) if row.version != change.seen => ResourceChange::Outdated,
                Some(row) if row.access == Some(Access::Manage) || row.owner == Some(person) => ResourceChange::CredentialGone,
                Some(_) => ResourceChange::NotFound,
            }),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(ResourceChange::NameTaken),
            // The foreign key has both columns, connector and credential.
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(ResourceChange::CredentialGone),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a resource another credential of the same connector, if it still has the version that the user
    /// saw, and if at this moment the user may change it and use the other credential.
    pub async fn set_resource_credential(
        &self,
        person: UserId,
        id: ResourceId,
        credential: CredentialId,
        expected_version: i64,
        audit: &Audit<'_>,
    ) -> Result<ResourceChange, StoreError> {
        const UPDATE: &str = concat!(
            "UPDATE resources AS r SET credential = $3, version = version + 1
            WHERE r.id = $2 AND r.version = $4 AND ",
            may_change!(),
            " AND EXISTS (SELECT 1 FROM credentials c
                WHERE c.id = $3 AND c.connector = r.connector AND ",
            access!(),
            " IS NOT NULL)"
        );
        let result = transaction!(self, transaction => {
            let update = sqlx::query(UPDATE).bind(person).bind(id).bind(credential).bind(expected_version);
            let changed = update.execute(&mut *transaction).await.map(|done| done.rows_affected());
            if matches!(changed, Ok(1)) {
                bump_access_epoch!(transaction);
                append_audit!(transaction, audit);
                transaction.commit().await?;
            }
            changed
        });
        match result {
            Ok(1) => Ok(ResourceChange::Changed),
            Ok(_) => Ok(match self.resource(person, id).await? {
                None => ResourceChange::NotFound,
                Some(row) if row.version != expected_version => ResourceChange::Outdated,
                Some(row) if row.access == Some(Access::Manage) || row.owner == Some(person) => ResourceChange::CredentialGone,
                Some(_) => ResourceChange::NotFound,
            }),
            // The foreign key has both columns, connector and credential.
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(ResourceChange::CredentialGone),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a resource's sealed settings, if it still has the version that the user saw, and if the user
    /// may change it at this moment.
    pub async fn set_resource_endpoint(
        &self,
        person: UserId,
        id: ResourceId,
        endpoint: &[u8],
        endpoint_version: i64,
        expected_version: i64,
        audit: &Audit<'_>,
    ) -> Result<ResourceChange, StoreError> {
        const UPDATE: &str = concat!(
            "UPDATE resources AS r SET endpoint = $3, endpoint_version = $4, version = version + 1
            WHERE r.id = $2 AND r.version = $5 AND ",
            may_change!()
        );
        let changed = transaction!(self, transaction => {
            let update = sqlx::query(UPDATE).bind(person).bind(id).bind(endpoint).bind(endpoint_version).bind(expected_version);
            let changed = update.execute(&mut *transaction).await?.rows_affected();
            if changed == 1 {
                bump_access_epoch!(transaction);
                append_audit!(transaction, audit);
                transaction.commit().await?;
            }
            changed
        });
        if changed == 1 {
            return Ok(ResourceChange::Changed);
        }
        Ok(match self.resource(person, id).await? {
            Some(row) if row.version != expected_version => ResourceChange::Outdated,
            _ => ResourceChange::NotFound,
        })
    }

    /// Deletes a resource of this kind, if the user may change it at this moment. `seen` is the version that
    /// it must still have, if given.
    pub async fn delete_resource(
        &self,
        person: UserId,
        id: ResourceId,
        kind: ResourceKind,
        seen: Option<i64>,
        audit: &Audit<'_>,
    ) -> Result<ResourceDelete, StoreError> {
        const DELETE: &str = concat!(
            "DELETE FROM resources AS r WHERE r.id = $2 AND r.kind = $3 AND r.version = COALESCE($4, r.version) AND ",
            may_change!()
        );
        let deleted = transaction!(self, transaction => {
            let delete = sqlx::query(DELETE).bind(person).bind(id).bind(kind.as_str()).bind(seen);
            let deleted = delete.execute(&mut *transaction).await?.rows_affected();
            if deleted == 1 {
                bump_access_epoch!(transaction);
                append_audit!(transaction, audit);
                transaction.commit().await?;
            }
            deleted
        });
        if deleted == 1 {
            return Ok(ResourceDelete::Deleted);
        }
        let Some(seen) = seen else { return Ok(ResourceDelete::NotFound) };
        let row = self.resource(person, id).await?.filter(|row| row.kind == kind && row.version != seen);
        Ok(row.map_or(ResourceDelete::NotFound, |_| ResourceDelete::Outdated))
    }
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    owner: Option<Uuid>,
    kind: String,
    name: String,
    description: String,
    connector: String,
    credential: Uuid,
    endpoint: Vec<u8>,
    endpoint_version: i64,
    created_at: i64,
    version: i64,
    credential_name: String,
    credential_status: String,
    access: Option<String>,
}

impl TryFrom<Row> for ResourceRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "resources", column };
        Ok(Self {
            id: row.id,
            owner: row.owner,
            kind: ResourceKind::parse(&row.kind).ok_or(wrong("kind"))?,
            name: row.name,
            description: row.description,
            connector: ConnectorId::new(&row.connector).ok_or(wrong("connector"))?,
            credential: row.credential,
            endpoint: row.endpoint,
            endpoint_version: row.endpoint_version,
            created_at: Timestamp::from_millis(row.created_at),
            version: row.version,
            credential_name: row.credential_name,
            credential_status: CredentialStatus::parse(&row.credential_status).ok_or(wrong("credential_status"))?,
            access: access_of(row.access)?,
        })
    }
}
