//! Reading credentials, as tiles and one at a time, and deleting one.

use std::collections::BTreeSet;

use url::Url;

use crate::{
    domain::{
        access::permission::{Access, Permission, Sharing},
        audit::event::{AuditAction, TargetKind},
        connectors::{Connector, ConnectorId},
        credentials::{
            CredentialId, CredentialStatus,
            values::{FieldValue, FieldValues},
            verification::{Diagnosis, PastVerification},
        },
        naming::name_key,
        resources::ResourceId,
        time::Timestamp,
        users::UserId,
    },
    service::{
        Service, ServiceError,
        access::{authorize::access_to, caller::Caller},
        audit::record::target,
        pagination::{self, PAGE},
        resources::ResourceSummary,
    },
    store::{CredentialDelete, CredentialQuery, CredentialRow, Owner},
};

/// The most resources on the page of a credential.
const USED_BY_LIMIT: i64 = 100;

/// A credential as shown where it can be chosen.
#[derive(Debug, Clone)]
pub struct Tile {
    pub id: CredentialId,
    pub connector: ConnectorId,
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The account at the service, such as `acme-support · EU`. `None` if the caller may only use the credential,
    /// because the account is made of its fields, or if the sealed values can't be opened.
    pub account: Option<String>,
    /// True if the sealed values can be opened; otherwise the credential is unusable.
    pub opens: bool,
    /// The result of the last verification or token request.
    pub status: CredentialStatus,
    /// When `status` was determined.
    pub verified_at: Timestamp,
    /// The number of resources that use it.
    pub used_by: u64,
    pub access: Access,
    /// `None` if the owner is the caller.
    pub owner: Option<Owner>,
    /// Whether everyone may use it.
    pub sharing: Sharing,
}

/// Which tiles to return.
#[derive(Debug, Clone, Default)]
pub struct TileQuery {
    /// Only credentials of this connector.
    pub connector: Option<ConnectorId>,
    /// Only credentials whose name or description contains this text, ignoring case.
    pub search: Option<String>,
    /// Starts after this credential.
    pub after: Option<CredentialId>,
    /// This credential is always on the page, first if it wouldn't be there otherwise.
    pub selected: Option<CredentialId>,
    /// The size of the page; 50 by default.
    pub limit: Option<i64>,
}

/// A page of tiles, newest first, and the selected one.
#[derive(Debug, Clone, Default)]
pub struct TilePage {
    pub tiles: Vec<Tile>,
    /// True if the first tile is the selected one and wouldn't be on this page otherwise.
    pub selected_beside: bool,
    /// The cursor (`after`) of the next page, if there is one.
    pub next: Option<CredentialId>,
}

/// One credential, without secrets.
#[derive(Debug, Clone)]
pub struct CredentialDetail {
    pub tile: Tile,
    pub created_at: Timestamp,
    /// Label and displayed value of each field with a value; `None` for a secret. Empty if the caller may only use
    /// the credential, as are the token URL, the verification and `same_as`.
    pub fields: Vec<(String, Option<String>)>,
    /// The endpoint that its tokens come from.
    pub token_url: Option<Url>,
    /// The newest verification.
    pub verification: Option<PastVerification>,
    /// The resources that use it, at most 100. Visible to everyone who may use the credential.
    pub used_by: Vec<ResourceSummary>,
    /// Names of other credentials with the same account and client id.
    pub same_as: Vec<String>,
}

/// The result of deleting a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialDeletion {
    Deleted,
    /// This many resources use it.
    InUse(u64),
    /// It was changed after the expected revision.
    Outdated,
    NotFound,
}

impl Service {
    /// A page of tiles of credentials that the caller may use.
    pub async fn tiles(&self, caller: &Caller, query: &TileQuery) -> Result<TilePage, ServiceError> {
        let viewer = self.credential_viewer(caller, "seeing credentials").await?;
        let (mut rows, next) = self.tile_rows(caller, viewer, query).await?;
        let mut selected_beside = false;
        if let Some(selected) = query.selected
            && !rows.iter().any(|row| row.summary.id == selected)
            && let Some(row) = self.0.store.credential_for(viewer, selected).await?
            && query.connector.as_ref().is_none_or(|connector| *connector == row.summary.connector)
        {
            rows.insert(0, row);
            selected_beside = true;
        }
        Ok(TilePage { tiles: self.own_tiles(caller, rows), selected_beside, next })
    }

    /// The rows of a page of tiles, and the cursor of the next page.
    pub(in crate::service) async fn tile_rows(
        &self,
        caller: &Caller,
        viewer: UserId,
        query: &TileQuery,
    ) -> Result<(Vec<CredentialRow>, Option<CredentialId>), ServiceError> {
        let search = query.search.as_deref().map(str::trim).filter(|search| !search.is_empty()).map(name_key);
        let limit = query.limit.unwrap_or(PAGE);
        let mut rows = match caller.resources() {
            Some(resources) => self.rows_of_resources(viewer, resources, query, search.as_deref()).await?,
            None => {
                let page = CredentialQuery {
                    viewer,
                    connector: query.connector.as_ref(),
                    search: search.as_deref(),
                    after: query.after,
                    limit: limit + 1,
                };
                self.0.store.credentials_page(&page).await?
            }
        };
        let next = pagination::cut_to(limit, &mut rows, |row| row.summary.id);
        Ok((rows, next))
    }

    /// The credentials that some resources use, newest first.
    async fn rows_of_resources(
        &self,
        viewer: UserId,
        resources: &[ResourceId],
        query: &TileQuery,
        search: Option<&str>,
    ) -> Result<Vec<CredentialRow>, ServiceError> {
        let mut ids = BTreeSet::new();
        for resource in resources {
            ids.extend(self.0.store.resource(viewer, *resource).await?.map(|row| row.credential));
        }
        let mut rows = Vec::new();
        for id in ids.into_iter().rev().filter(|id| query.after.is_none_or(|after| *id < after)) {
            let Some(row) = self.0.store.credential_for(viewer, id).await? else { continue };
            let summary = &row.summary;
            let is_found = search
                .is_none_or(|search| name_key(&summary.name).contains(search) || name_key(&summary.description).contains(search));
            if is_found && query.connector.as_ref().is_none_or(|connector| *connector == summary.connector) {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    pub async fn credential_tile(&self, caller: &Caller, id: CredentialId) -> Result<Option<Tile>, ServiceError> {
        Ok(self.usable(caller, id).await?.map(|(row, access)| self.tile(caller, row, access)))
    }

    /// The tile of a credential for a resource that the caller is creating.
    pub async fn tile_for_resource(&self, caller: &Caller, id: CredentialId) -> Result<Option<Tile>, ServiceError> {
        self.require(caller, Permission::MakeResources, "creating a resource").await?;
        self.credential_tile(caller, id).await
    }

    /// One credential: everything except secrets if the caller may manage it, otherwise its tile and the resources
    /// that use it.
    pub async fn credential(&self, caller: &Caller, id: CredentialId) -> Result<Option<CredentialDetail>, ServiceError> {
        let viewer = self.credential_viewer(caller, "seeing a credential").await?;
        let Some((row, access)) = self.usable(caller, id).await? else { return Ok(None) };
        let used_by = self.0.store.resources_of_credential(viewer, id, USED_BY_LIMIT).await?;
        let used_by = used_by.into_iter().filter(|row| caller.reaches(row.id)).map(ResourceSummary::from).collect();
        let mut detail = CredentialDetail {
            created_at: row.summary.created_at,
            tile: self.tile(caller, row.clone(), access),
            fields: Vec::new(),
            token_url: None,
            verification: None,
            used_by,
            same_as: Vec::new(),
        };
        if access == Access::Manage {
            let connector = self.catalogue().get(row.summary.connector.as_str()).cloned();
            // A credential that can't be opened is still shown, without its values, so that it can be deleted.
            let values = self.open_values(&row.summary, &row.secret).unwrap_or_default();
            if let Some(connector) = &connector {
                detail.same_as = self.same_client(viewer, connector, &values, id).await?;
            }
            detail.fields = shown_fields(connector.as_deref(), &values);
            detail.token_url = connector.and_then(|connector| connector.token_url(&values).ok());
            detail.verification = self.newest_verification(id).await?;
        }
        Ok(Some(detail))
    }

    /// The same for a caller who is about to delete it.
    pub async fn credential_to_delete(&self, caller: &Caller, id: CredentialId) -> Result<Option<CredentialDetail>, ServiceError> {
        if self.managed(caller, id, "deleting a credential").await?.is_none() {
            return Ok(None);
        }
        self.credential(caller, id).await
    }

    /// The probe's notice from the newest verification. `None` if the caller doesn't manage the credential.
    pub async fn notice(&self, caller: &Caller, id: CredentialId) -> Result<Option<Diagnosis>, ServiceError> {
        match self.usable(caller, id).await? {
            Some((_, Access::Manage)) => Ok(self.newest_verification(id).await?.and_then(|past| past.verification.notice)),
            _ => Ok(None),
        }
    }

    /// Names of other credentials with the same account and client id, limited to those that the caller may use.
    /// Empty if the caller doesn't manage the credential.
    pub async fn same_account_as(&self, caller: &Caller, id: CredentialId) -> Result<Vec<String>, ServiceError> {
        let viewer = self.credential_viewer(caller, "seeing a credential").await?;
        let Some((row, Access::Manage)) = self.usable(caller, id).await? else { return Ok(Vec::new()) };
        let Some(connector) = self.catalogue().get(row.summary.connector.as_str()) else { return Ok(Vec::new()) };
        let Ok(values) = self.open_values(&row.summary, &row.secret) else { return Ok(Vec::new()) };
        self.same_client(viewer, connector, &values, id).await
    }

    /// Deletes a credential that no resource uses. `expected` is the revision that the caller has seen, if it must
    /// still be current.
    pub async fn delete_credential(
        &self,
        caller: &Caller,
        id: CredentialId,
        expected: Option<&str>,
    ) -> Result<CredentialDeletion, ServiceError> {
        let Some((manager, row)) = self.managed(caller, id, "deleting a credential").await? else {
            return Ok(CredentialDeletion::NotFound);
        };
        if expected.is_some_and(|expected| expected != self.revision(&row.summary)) {
            return Ok(CredentialDeletion::Outdated);
        }
        let seen = expected.map(|_| &row.summary);
        let about = target(TargetKind::Credential, id, &row.summary.name);
        let audit = self.done(caller, AuditAction::DeleteCredential, about);
        Ok(match self.0.store.delete_credential(manager, id, seen, &audit).await? {
            CredentialDelete::Deleted => {
                self.0.epoch.forget();
                self.0.broker.forget(id);
                CredentialDeletion::Deleted
            }
            CredentialDelete::InUse(count) => CredentialDeletion::InUse(u64::try_from(count).unwrap_or(0)),
            CredentialDelete::Outdated => CredentialDeletion::Outdated,
            CredentialDelete::NotFound => CredentialDeletion::NotFound,
        })
    }

    async fn newest_verification(&self, id: CredentialId) -> Result<Option<PastVerification>, ServiceError> {
        let Some(row) = self.0.store.latest_verification(id).await? else { return Ok(None) };
        match self.open_verification(row.id, id, &row.sealed) {
            Ok(verification) => Ok(Some(PastVerification { at: row.at, verification })),
            Err(error) => {
                tracing::error!(verification = %row.id, error = &error as &dyn std::error::Error, "cannot decrypt a verification");
                Ok(None)
            }
        }
    }

    async fn same_client(
        &self,
        viewer: UserId,
        connector: &Connector,
        values: &FieldValues,
        id: CredentialId,
    ) -> Result<Vec<String>, ServiceError> {
        let fingerprint = self.fingerprint(connector, values);
        Ok(self.0.store.credentials_with_fingerprint(viewer, &connector.id, &fingerprint, Some(id)).await?)
    }

    /// The tiles of rows that were read for this caller.
    pub(in crate::service) fn own_tiles(&self, caller: &Caller, rows: Vec<CredentialRow>) -> Vec<Tile> {
        let with_access = rows.into_iter().filter_map(|row| access_to(caller, &row).map(|access| (row, access)));
        with_access.map(|(row, access)| self.tile(caller, row, access)).collect()
    }

    /// The tile of a row. A row that can't be opened is logged and still shown, without its account, so that one
    /// damaged credential doesn't hide the others.
    pub(in crate::service) fn tile(&self, caller: &Caller, row: CredentialRow, access: Access) -> Tile {
        let values = self.opened_values(&row);
        self.tile_of(caller, row, access, values.as_ref())
    }

    /// The values of a row; `None` if they can't be opened, which is logged.
    pub(in crate::service) fn opened_values(&self, row: &CredentialRow) -> Option<FieldValues> {
        match self.open_values(&row.summary, &row.secret) {
            Ok(values) => Some(values),
            Err(error) => {
                tracing::error!(credential = %row.summary.id, error = &error as &dyn std::error::Error, "cannot decrypt a credential");
                None
            }
        }
    }

    /// The tile of a row whose values were already opened, if possible.
    pub(in crate::service) fn tile_of(
        &self,
        caller: &Caller,
        row: CredentialRow,
        access: Access,
        values: Option<&FieldValues>,
    ) -> Tile {
        let summary = row.summary;
        let shown = values.filter(|_| access == Access::Manage);
        let account = shown.and_then(|values| Some(self.catalogue().get(summary.connector.as_str())?.account_of(values)));
        let opens = values.is_some();
        Tile {
            id: summary.id,
            connector: summary.connector,
            name: summary.name,
            description: summary.description,
            account,
            opens,
            status: summary.status,
            verified_at: summary.verified_at,
            used_by: u64::try_from(row.used_by).unwrap_or(0),
            access,
            owner: row.owner.filter(|owner| Some(owner.id) != caller.user()),
            sharing: row.sharing,
        }
    }
}

/// Label and value of each field, in the connector's order. Secrets have no value.
fn shown_fields(connector: Option<&Connector>, values: &FieldValues) -> Vec<(String, Option<String>)> {
    let shown = |value: &FieldValue| match value {
        FieldValue::Plain(value) => Some(value.clone()),
        FieldValue::Secret(_) => None,
    };
    let Some(connector) = connector else {
        return values.iter().map(|(field, value)| (field.to_string(), shown(value))).collect();
    };
    let mut fields = Vec::with_capacity(connector.fields.len());
    for field in &connector.fields {
        let Some(value) = values.get(&field.id) else { continue };
        // Also hides a field that the connector now treats as secret.
        let value = shown(value).filter(|_| !field.secret).map(|value| {
            let option = field.options.iter().find(|option| option.id == value);
            option.map_or(value, |option| option.label.clone())
        });
        fields.push((field.label.clone(), value));
    }
    fields
}
