//! Data sources and data destinations.

use crate::domain::resources::ResourceDelete;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    crypto::envelope::Place,
    domain::{
        access::permission::Permission,
        audit::event::{AuditAction, TargetKind},
        connectors::{Connector, ConnectorId},
        credentials::{
            CredentialId, CredentialStatus,
            form::{FieldError, FieldFault},
        },
        naming::{Description, Name},
        resources::{ApiPath, Endpoint, Method, Resource, ResourceId, ResourceKind, egress_policy::EgressPolicy},
        time::Timestamp,
    },
    service::{
        Service, ServiceError,
        access::{authorize::may_change, caller::Caller},
        audit::record::target,
        credentials::{Tile, TileQuery},
        pagination::{self, PAGE},
    },
    store::{NewResource, ResourceChange, ResourceInsert, ResourceRow},
};

/// The version of an endpoint that has just been made.
const FIRST_VERSION: i64 = 1;
/// What is asked for, in the words of a refusal.
const MAKING: &str = "creating a resource";
/// The most query parameters an endpoint may have.
pub const PARAMETERS_MAX: usize = 50;
/// The most characters of a query parameter's name or value.
pub const PARAMETER_MAX: usize = 2_000;

/// A resource in a list.
#[derive(Debug, Clone)]
pub struct ResourceSummary {
    /// Its id.
    pub id: ResourceId,
    /// Source or destination.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// Its description, or an empty text.
    pub description: String,
    /// Its connector.
    pub connector: ConnectorId,
    /// Its credential.
    pub credential: CredentialId,
    /// The name of its credential.
    pub credential_name: String,
    /// Whether its credential worked when it was last tried.
    pub credential_status: CredentialStatus,
    /// When it was created.
    pub created_at: Timestamp,
}

impl From<ResourceRow> for ResourceSummary {
    fn from(row: ResourceRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            name: row.name,
            description: row.description,
            connector: row.connector,
            credential: row.credential,
            credential_name: row.credential_name,
            credential_status: row.credential_status,
            created_at: row.created_at,
        }
    }
}

/// A page of resources.
pub struct ResourcePage {
    /// The resources.
    pub resources: Vec<ResourceSummary>,
    /// Where the next page begins (`after`), if there is one.
    pub next: Option<ResourceId>,
}

/// What was typed into Configure, as it came.
#[derive(Debug, Clone, Default)]
pub struct RawResource {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// An offered endpoint's name, or empty for a path of one's own.
    pub endpoint: String,
    /// The method of one's own.
    pub method: String,
    /// The path of one's own.
    pub path: String,
    /// Query parameters, name and value; rows with neither are left out.
    pub query: Vec<(String, String)>,
}

/// How Create ended.
pub enum ResourceCreation {
    /// Stored, or stored before by the same form.
    Created(ResourceId),
    /// Fields are wrong: `name`, `description`, `endpoint`, `method`, `path`, `query` or `credential`.
    Invalid(Vec<FieldError>),
}

/// A resource and the tile of its credential.
pub struct ResourceDetail {
    /// The resource.
    pub resource: Resource,
    /// What may be sent in its name.
    pub policy: EgressPolicy,
    /// Its credential.
    pub credential: Tile,
    /// Other credentials of the same connector that it could use: the newest 50. None for somebody who may not change
    /// the resource.
    pub alternatives: Vec<Tile>,
    /// Whether the caller may make its request.
    pub may_preview: bool,
    /// Whether the caller may give it another credential, and delete it.
    pub may_change: bool,
}

/// What is sealed of a resource, opened.
pub(in crate::service) struct OpenedEndpoint {
    pub(in crate::service) endpoint: Endpoint,
    pub(in crate::service) policy: EgressPolicy,
    /// Whether somebody has chosen the policy; it follows from kind and endpoint otherwise.
    pub(in crate::service) is_chosen: bool,
}

/// What is sealed of a resource.
#[derive(Serialize, Deserialize)]
struct SealedEndpoint<E> {
    #[serde(flatten)]
    endpoint: E,
    /// Absent where nobody has chosen another than its kind suggests. It was called `contract` before, and is that still
    /// in rows that were not changed since.
    #[serde(default, alias = "contract", skip_serializing_if = "Option::is_none")]
    policy: Option<EgressPolicy>,
}

/// What is to be sealed of a resource.
pub(in crate::service) fn endpoint_bytes(endpoint: &Endpoint, policy: Option<EgressPolicy>) -> Vec<u8> {
    // Text and numbers: they always serialise.
    serde_json::to_vec(&SealedEndpoint { endpoint, policy }).unwrap_or_default()
}

impl Service {
    /// Opens what is sealed of a resource.
    pub(in crate::service) fn open_endpoint(&self, row: &ResourceRow) -> Result<OpenedEndpoint, ServiceError> {
        let place = Place::resource_endpoint(row.id, row.endpoint_version, &row.connector);
        let bytes = self.open(&place, &row.endpoint)?;
        let opened: Result<SealedEndpoint<Endpoint>, _> = serde_json::from_slice(&bytes);
        let SealedEndpoint { endpoint, policy } = opened.map_err(|_| ServiceError::Unreadable { table: place.table })?;
        let is_chosen = policy.is_some();
        let policy = policy.unwrap_or_else(|| EgressPolicy::of_kind(row.kind, endpoint.method));
        Ok(OpenedEndpoint { endpoint, policy, is_chosen })
    }

    /// Reads an endpoint as it was typed.
    pub fn parse_endpoint(
        &self,
        connector: &Connector,
        kind: ResourceKind,
        raw: &RawResource,
    ) -> Result<Endpoint, Vec<FieldError>> {
        let mut errors = Vec::new();
        let query = parse_query(&raw.query).map_err(|message| errors.push(FieldError::new("query", message)));
        let target = if raw.endpoint.is_empty() {
            let method = Method::parse(&raw.method).ok_or_else(|| errors.push(FieldError::new("method", "Choose a method.")));
            let path = ApiPath::parse(&raw.path).map_err(|message| errors.push(FieldError::new("path", message)));
            method.and_then(|method| path.map(|path| (method, path)))
        } else {
            let offer = connector.endpoints_for(kind).find(|offer| offer.name == raw.endpoint);
            let offer = offer.map(|offer| (offer.method, offer.path.clone()));
            offer.ok_or_else(|| errors.push(FieldError::new("endpoint", "Choose an endpoint or a custom path.")))
        };
        match (target, query) {
            (Ok((method, path)), Ok(query)) => Ok(Endpoint { method, path, query }),
            _ => Err(errors),
        }
    }

    /// Creates a resource. `form` identifies the form, so that submitting it twice creates one. Without a policy it may
    /// do what its kind suggests.
    #[expect(clippy::too_many_arguments, reason = "what a resource is made of, and who makes it")]
    pub async fn create_resource(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        connector: &Connector,
        credential: CredentialId,
        form: Uuid,
        raw: &RawResource,
        policy: Option<EgressPolicy>,
    ) -> Result<ResourceCreation, ServiceError> {
        let owner = self.require_person(caller, Permission::MakeResources, MAKING).await?;
        self.require_unlimited(caller, Permission::MakeResources, MAKING).await?;
        let mut errors = Vec::new();
        let name = Name::parse(&raw.name).map_err(|message| errors.push(FieldError::new("name", message)));
        let description =
            Description::parse(&raw.description).map_err(|message| errors.push(FieldError::new("description", message)));
        let endpoint = self.parse_endpoint(connector, kind, raw).map_err(|wrong| errors.extend(wrong));
        let (Ok(name), Ok(description), Ok(endpoint)) = (name, description, endpoint) else {
            return Ok(ResourceCreation::Invalid(errors));
        };
        let gone = || {
            let message = "This credential isn't available. Go back and choose another one.";
            ResourceCreation::Invalid(vec![FieldError::new("credential", message)])
        };
        match self.usable(caller, credential).await? {
            Some((row, _)) if row.summary.connector == connector.id => {}
            _ => return Ok(gone()),
        }
        let id = self.new_id();
        let bytes = endpoint_bytes(&endpoint, policy);
        let new = NewResource {
            id,
            kind,
            owner,
            name: &name,
            description: &description,
            connector: &connector.id,
            credential,
            endpoint: &self.0.keyring.seal_packed(&Place::resource_endpoint(id, FIRST_VERSION, &connector.id), &bytes),
            created_at: self.now(),
            form_id: form,
        };
        let audit = self.done(caller, AuditAction::CreateResource, target(TargetKind::Resource, id, name.as_str()));
        Ok(match self.0.store.insert_resource(&new, &audit).await? {
            ResourceInsert::Inserted => ResourceCreation::Created(id),
            ResourceInsert::AlreadyCreated(earlier) => ResourceCreation::Created(earlier),
            ResourceInsert::CredentialGone => gone(),
            ResourceInsert::NameTaken => {
                let message = format!("You already have a data {} named “{}”. Choose another name.", kind.as_str(), name.as_str());
                ResourceCreation::Invalid(vec![FieldError::new("name", message).coded(FieldFault::Taken)])
            }
        })
    }

    /// Resources of a kind whose credential the caller may use, newest first, at most 50, beginning behind one.
    pub async fn resources(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        after: Option<ResourceId>,
    ) -> Result<ResourcePage, ServiceError> {
        let (rows, next) = self.resource_rows(caller, &[kind], after, PAGE).await?;
        Ok(ResourcePage { resources: rows.into_iter().map(ResourceSummary::from).collect(), next })
    }

    /// The rows of a page of resources of these kinds, and where the next page begins.
    pub(in crate::service) async fn resource_rows(
        &self,
        caller: &Caller,
        kinds: &[ResourceKind],
        after: Option<ResourceId>,
        limit: i64,
    ) -> Result<(Vec<ResourceRow>, Option<ResourceId>), ServiceError> {
        let viewer = self.viewer(caller, "seeing resources").await?;
        let mut rows = Vec::new();
        match caller.resources() {
            Some(resources) => {
                for id in resources.iter().filter(|id| after.is_none_or(|after| **id < after)) {
                    rows.extend(self.0.store.resource(viewer, *id).await?.filter(|row| kinds.contains(&row.kind)));
                }
            }
            None => {
                for kind in kinds {
                    rows.extend(self.0.store.resources_page(viewer, *kind, after, limit + 1).await?);
                }
            }
        }
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        let next = pagination::cut_to(limit, &mut rows, |row| row.id);
        Ok((rows, next))
    }

    /// One resource as lists show it, and whether the caller may change it. Opens nothing that is sealed, so that what
    /// is damaged can be deleted.
    pub async fn resource_summary(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<(ResourceSummary, bool)>, ServiceError> {
        let row = self.seen_resource(caller, kind, id).await?;
        Ok(row.map(|row| (may_change(caller, &row), ResourceSummary::from(row))).map(|(change, summary)| (summary, change)))
    }

    /// The same for somebody who is about to delete it.
    pub async fn resource_to_delete(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<ResourceSummary>, ServiceError> {
        let changeable = self.changeable(caller, kind, id, "deleting a resource").await?;
        Ok(changeable.map(|(_, row)| ResourceSummary::from(row)))
    }

    /// The same for somebody who is about to change what it may send.
    pub async fn resource_to_change(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<ResourceDetail>, ServiceError> {
        if self.changeable(caller, kind, id, "changing an egress policy").await?.is_none() {
            return Ok(None);
        }
        self.resource(caller, kind, id, None).await
    }

    /// One resource. `search` narrows the credentials that it could use instead.
    pub async fn resource(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
        search: Option<&str>,
    ) -> Result<Option<ResourceDetail>, ServiceError> {
        let Some(row) = self.seen_resource(caller, kind, id).await? else { return Ok(None) };
        let may_change = may_change(caller, &row);
        let OpenedEndpoint { endpoint, policy, .. } = self.open_endpoint(&row)?;
        let resource = Resource {
            id,
            kind,
            name: row.name,
            description: row.description,
            connector: row.connector,
            credential: row.credential,
            endpoint,
            created_at: row.created_at,
            version: row.version,
        };
        // The credential cannot be deleted while the resource is there; if both are gone by now, so be it.
        let Some(credential) = self.credential_tile(caller, resource.credential).await? else { return Ok(None) };
        let mut alternatives = Vec::new();
        if may_change {
            let search = search.map(str::to_owned);
            let query = TileQuery { connector: Some(resource.connector.clone()), search, ..TileQuery::default() };
            alternatives = self.tiles(caller, &query).await?.tiles;
            alternatives.retain(|tile| tile.id != resource.credential);
        }
        let may_preview = caller.may(Permission::MakeResources);
        Ok(Some(ResourceDetail { resource, policy, credential, alternatives, may_preview, may_change }))
    }

    /// Uses another credential of the same connector from now on. False when there is no such resource, or
    /// no such credential of its connector, for the caller.
    pub async fn change_credential(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
        credential: CredentialId,
    ) -> Result<bool, ServiceError> {
        loop {
            let Some((person, row)) = self.changeable(caller, kind, id, "changing a resource").await? else { return Ok(false) };
            if self.usable(caller, credential).await?.is_none() {
                return Ok(false);
            }
            let audit = self.done(caller, AuditAction::ChangeResource, target(TargetKind::Resource, id, row.name));
            match self.0.store.set_resource_credential(person, id, credential, row.version, &audit).await? {
                ResourceChange::Changed => {
                    self.0.epoch.forget();
                    return Ok(true);
                }
                // Somebody changed something else of it in between; this choice still stands.
                ResourceChange::Outdated => {}
                ResourceChange::CredentialGone | ResourceChange::NameTaken | ResourceChange::NotFound => return Ok(false),
            }
        }
    }

    /// Deletes a resource. `seen` is the version that the caller has seen, if that matters.
    pub async fn delete_resource(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
        seen: Option<i64>,
    ) -> Result<ResourceDelete, ServiceError> {
        let Some((person, row)) = self.changeable(caller, kind, id, "deleting a resource").await? else {
            return Ok(ResourceDelete::NotFound);
        };
        let audit = self.done(caller, AuditAction::DeleteResource, target(TargetKind::Resource, id, row.name));
        let deleted = self.0.store.delete_resource(person, id, kind, seen, &audit).await?;
        if deleted == ResourceDelete::Deleted {
            self.0.epoch.forget();
        }
        Ok(deleted)
    }
}

fn parse_query(rows: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
    let mut query = Vec::with_capacity(rows.len());
    for (name, value) in rows {
        let (name, value) = (name.trim(), value.trim());
        match (name.is_empty(), value.is_empty()) {
            (true, true) => continue,
            (true, false) => {
                return Err(format!("Name the query parameter with the value “{}”.", value.chars().take(40).collect::<String>()));
            }
            (false, _) => query.push((name.to_owned(), value.to_owned())),
        }
        if name.chars().count() > PARAMETER_MAX || value.chars().count() > PARAMETER_MAX {
            return Err(format!("Use at most {PARAMETER_MAX} characters for a query parameter."));
        }
    }
    if query.len() > PARAMETERS_MAX {
        return Err(format!("Use at most {PARAMETERS_MAX} query parameters."));
    }
    Ok(query)
}
