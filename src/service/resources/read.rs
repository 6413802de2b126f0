//! Creating, reading and deleting data sources and data destinations.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    crypto::envelope::Place,
    domain::{
        access::permission::Permission,
        audit::event::{AuditAction, TargetKind},
        connectors::{Connector, ConnectorId},
        credentials::{CredentialId, CredentialStatus, form::FieldError},
        form_errors::FormError,
        naming::{Description, Name},
        resources::{ApiPath, Endpoint, Method, Resource, ResourceDelete, ResourceId, ResourceKind, egress_policy::EgressPolicy},
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

/// The version of a new resource.
const FIRST_VERSION: i64 = 1;
/// What was attempted, in the audit record of a refusal.
const MAKING: &str = "creating a resource";
/// The most query parameters of an endpoint.
pub const PARAMETERS_MAX: usize = 50;
/// The longest name or value of a query parameter, in characters.
pub const PARAMETER_MAX: usize = 2_000;

/// A resource in a list.
#[derive(Debug, Clone)]
pub struct ResourceSummary {
    pub id: ResourceId,
    pub kind: ResourceKind,
    pub name: String,
    /// May be empty.
    pub description: String,
    pub connector: ConnectorId,
    pub credential: CredentialId,
    pub credential_name: String,
    /// The result of the credential's last verification or token request.
    pub credential_status: CredentialStatus,
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

pub struct ResourcePage {
    pub resources: Vec<ResourceSummary>,
    /// The cursor (`after`) of the next page, if there is one.
    pub next: Option<ResourceId>,
}

/// The Configure form, as it was submitted.
#[derive(Debug, Clone, Default)]
pub struct RawResource {
    pub name: String,
    pub description: String,
    /// The name of an offered endpoint, or empty for a custom path.
    pub endpoint: String,
    /// The method of a custom path.
    pub method: String,
    pub path: String,
    /// Name and value of query parameters. Rows without both are ignored.
    pub query: Vec<(String, String)>,
}

/// The result of Create.
pub enum ResourceCreation {
    /// Stored now, or earlier by the same form.
    Created(ResourceId),
    /// Fields are invalid: `name`, `description`, `endpoint`, `method`, `path`, `query` or `credential`.
    Invalid(Vec<FieldError>),
}

/// A resource and the tile of its credential.
pub struct ResourceDetail {
    pub resource: Resource,
    /// What may be sent in its name.
    pub policy: EgressPolicy,
    /// Its credential.
    pub credential: Tile,
    /// Other credentials of the same connector that it could use: the newest 50. Empty if the caller may not change
    /// the resource.
    pub alternatives: Vec<Tile>,
    /// True if the caller may send its request.
    pub may_preview: bool,
    /// True if the caller may change its credential, and delete it.
    pub may_change: bool,
}

/// The sealed part of a resource, opened.
pub(in crate::service) struct OpenedEndpoint {
    pub(in crate::service) endpoint: Endpoint,
    pub(in crate::service) policy: EgressPolicy,
    /// Whether somebody has chosen the policy; it follows from kind and endpoint otherwise.
    pub(in crate::service) is_chosen: bool,
}

/// The sealed part of a resource, as it is serialized.
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
    /// Opens the sealed part of a resource.
    pub(in crate::service) fn open_endpoint(&self, row: &ResourceRow) -> Result<OpenedEndpoint, ServiceError> {
        let place = Place::resource_endpoint(row.id, row.endpoint_version, &row.connector);
        let bytes = self.open(&place, &row.endpoint)?;
        let opened: Result<SealedEndpoint<Endpoint>, _> = serde_json::from_slice(&bytes);
        let SealedEndpoint { endpoint, policy } = opened.map_err(|_| ServiceError::Unreadable { table: place.table })?;
        let is_chosen = policy.is_some();
        let policy = policy.unwrap_or_else(|| EgressPolicy::of_kind(row.kind, endpoint.method));
        Ok(OpenedEndpoint { endpoint, policy, is_chosen })
    }

    /// Parses the endpoint in a form.
    pub fn parse_endpoint(
        &self,
        connector: &Connector,
        kind: ResourceKind,
        raw: &RawResource,
    ) -> Result<Endpoint, Vec<FieldError>> {
        let mut errors = Vec::new();
        let query = parse_query(&raw.query).map_err(|message| errors.push(FieldError::new("query", message)));
        let target = if raw.endpoint.is_empty() {
            let method =
                Method::parse(&raw.method).ok_or_else(|| errors.push(FieldError::new("method", FormError::MethodMissing.say())));
            let path = ApiPath::parse(&raw.path).map_err(|message| errors.push(FieldError::new("path", message)));
            method.and_then(|method| path.map(|path| (method, path)))
        } else {
            let offer = connector.endpoints_for(kind).find(|offer| offer.name == raw.endpoint);
            let offer = offer.map(|offer| (offer.method, offer.path.clone()));
            offer.ok_or_else(|| errors.push(FieldError::new("endpoint", FormError::EndpointMissing.say())))
        };
        match (target, query) {
            (Ok((method, path)), Ok(query)) => Ok(Endpoint { method, path, query }),
            _ => Err(errors),
        }
    }

    /// Creates a resource. `form` identifies the form, so that submitting it twice creates one. Without a policy,
    /// the default of its kind applies.
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
        let gone = || ResourceCreation::Invalid(vec![FieldError::of("credential", FormError::CredentialGone, &[])]);
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
                let parts = [("kind", kind.as_str()), ("name", name.as_str())];
                ResourceCreation::Invalid(vec![FieldError::of("name", FormError::ResourceNameTaken, &parts)])
            }
        })
    }

    /// At most 50 resources of a kind whose credential the caller may use, newest first, that come after `after`.
    pub async fn resources(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        after: Option<ResourceId>,
    ) -> Result<ResourcePage, ServiceError> {
        let (rows, next) = self.resource_rows(caller, &[kind], after, PAGE).await?;
        Ok(ResourcePage { resources: rows.into_iter().map(ResourceSummary::from).collect(), next })
    }

    /// The rows of a page of resources of these kinds, and the cursor of the next page.
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

    /// One resource as in lists, and whether the caller may change it. Opens nothing that is sealed, so that a
    /// damaged resource can be deleted.
    pub async fn resource_summary(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<(ResourceSummary, bool)>, ServiceError> {
        let row = self.seen_resource(caller, kind, id).await?;
        Ok(row.map(|row| (may_change(caller, &row), ResourceSummary::from(row))).map(|(change, summary)| (summary, change)))
    }

    /// The same for a caller who is about to delete it.
    pub async fn resource_to_delete(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<ResourceSummary>, ServiceError> {
        let changeable = self.changeable(caller, kind, id, "deleting a resource").await?;
        Ok(changeable.map(|(_, row)| ResourceSummary::from(row)))
    }

    /// The same for a caller who is about to change its egress policy.
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
        // The credential can't be deleted while the resource exists, so both are gone by now.
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

    /// Switches a resource to another credential of the same connector. False if the resource, or a matching
    /// credential, doesn't exist for the caller.
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
                // Someone changed another part of it at the same time; this choice still applies.
                ResourceChange::Outdated => {}
                ResourceChange::CredentialGone | ResourceChange::NameTaken | ResourceChange::NotFound => return Ok(false),
            }
        }
    }

    /// Deletes a resource. `seen` is the version that the caller has seen, if it must still be current.
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
                let beginning: String = value.chars().take(40).collect();
                return Err(FormError::ParameterWithoutName.with(&[("value", &beginning)]));
            }
            (false, _) => query.push((name.to_owned(), value.to_owned())),
        }
        if name.chars().count() > PARAMETER_MAX || value.chars().count() > PARAMETER_MAX {
            return Err(FormError::ParameterTooLong.with(&[("most", &PARAMETER_MAX.to_string())]));
        }
    }
    if query.len() > PARAMETERS_MAX {
        return Err(FormError::TooManyParameters.with(&[("most", &PARAMETERS_MAX.to_string())]));
    }
    Ok(query)
}
