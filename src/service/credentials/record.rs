//! Credentials as API clients read them: everything except secrets, by field id.

use url::Url;

use super::{Tile, TileQuery};
use crate::{
    domain::{
        access::permission::Access,
        connectors::{Connector, FieldId},
        credentials::{
            CredentialId,
            values::{FieldValue, FieldValues},
        },
        time::Timestamp,
    },
    service::{
        Service, ServiceError,
        access::{authorize::access_to, caller::Caller},
    },
    store::CredentialRow,
};

/// One credential, without secrets.
#[derive(Debug, Clone)]
pub struct CredentialRecord {
    pub tile: Tile,
    pub created_at: Timestamp,
    /// Each field with a value, in the connector's order; `None` for a secret. Empty if the caller may only use the
    /// credential.
    pub fields: Vec<(FieldId, Option<String>)>,
    /// The endpoint that its tokens come from. `None` if the caller may only use the credential.
    pub token_url: Option<Url>,
    /// Changes with every edit: see [`Service::revision`].
    pub revision: String,
}

/// A page of credentials, newest first.
#[derive(Debug, Clone)]
pub struct CredentialRecords {
    pub records: Vec<CredentialRecord>,
    /// The cursor (`after`) of the next page, if there is one.
    pub next: Option<CredentialId>,
}

impl Service {
    /// One credential, if the caller may use it.
    pub async fn credential_record(&self, caller: &Caller, id: CredentialId) -> Result<Option<CredentialRecord>, ServiceError> {
        Ok(self.usable(caller, id).await?.map(|(row, access)| self.record_for(caller, row, access)))
    }

    /// A page of the credentials that the caller may use.
    pub async fn credential_records(&self, caller: &Caller, query: &TileQuery) -> Result<CredentialRecords, ServiceError> {
        let viewer = self.credential_viewer(caller, "seeing credentials").await?;
        let (rows, next) = self.tile_rows(caller, viewer, query).await?;
        let with_access = rows.into_iter().filter_map(|row| access_to(caller, &row).map(|access| (row, access)));
        Ok(CredentialRecords { records: with_access.map(|(row, access)| self.record_for(caller, row, access)).collect(), next })
    }

    fn record_for(&self, caller: &Caller, row: CredentialRow, access: Access) -> CredentialRecord {
        let (created_at, revision) = (row.summary.created_at, self.revision(&row.summary));
        let values = self.opened_values(&row);
        let connector = self.catalogue().get(row.summary.connector.as_str()).cloned();
        let tile = self.tile_of(caller, row, access, values.as_ref());
        let shown = values.as_ref().filter(|_| access == Access::Manage);
        CredentialRecord {
            tile,
            created_at,
            fields: shown.map(|values| fields(connector.as_deref(), values)).unwrap_or_default(),
            token_url: shown.zip(connector.as_deref()).and_then(|(values, connector)| connector.token_url(values).ok()),
            revision,
        }
    }
}

/// Id and value of each field with a value. Secrets, and fields that the connector now treats as secret, have no
/// value.
fn fields(connector: Option<&Connector>, values: &FieldValues) -> Vec<(FieldId, Option<String>)> {
    let is_secret = |id: &FieldId| connector.and_then(|connector| connector.field(id.as_str())).is_some_and(|field| field.secret);
    let shown = |id: &FieldId, value: &FieldValue| match value {
        FieldValue::Plain(value) if !is_secret(id) => Some(value.clone()),
        FieldValue::Plain(_) | FieldValue::Secret(_) => None,
    };
    values.iter().map(|(id, value)| (id.clone(), shown(id, value))).collect()
}
