//! Resources as API clients read, create and change them: all parts in one request.

use super::{
    RawResource, ResourceCreation, ResourceSummary, egress_policy,
    read::{OpenedEndpoint, endpoint_bytes},
};
use crate::{
    crypto::envelope::Place,
    domain::{
        access::permission::Permission,
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        connectors::Connector,
        credentials::{CredentialId, form::FieldError},
        form_errors::FormError,
        naming::{Description, Name},
        resources::{
            Endpoint, ResourceId, ResourceKind,
            egress_policy::{EgressPolicy, RawPolicy},
        },
    },
    service::{
        Service, ServiceError,
        access::caller::Caller,
        api_keys::idempotency::{Once, Seen},
        audit::record::target,
    },
    store::{ResourceChange, ResourceRow, ResourceUpdate},
};

/// How often to retry a change that conflicts with another, if the conflict doesn't matter.
const TRIES: usize = 5;

/// One resource, with its egress policy.
#[derive(Debug, Clone)]
pub struct ResourceRecord {
    pub summary: ResourceSummary,
    /// What it calls and what may be sent in its name; `None` where that does not open.
    pub sealed: Option<(Endpoint, EgressPolicy)>,
    /// Grows by one with every change; starts at 1.
    pub version: i64,
}

#[derive(Debug, Clone)]
pub struct ResourceRecords {
    pub records: Vec<ResourceRecord>,
    /// The cursor (`after`) of the next page, if there is one.
    pub next: Option<ResourceId>,
}

/// An API client's changes of an endpoint. Absent values stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    /// The name of an endpoint that the connector offers.
    pub offer: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    /// All query parameters, name and value.
    pub query: Option<Vec<(String, String)>>,
}

/// What a program says of a policy. What it leaves out stays.
#[derive(Debug, Clone, Default)]
pub struct PolicyPatch {
    /// The methods.
    pub methods: Option<Vec<String>>,
    pub prefixes: Option<Vec<String>>,
    /// The largest body, in MiB.
    pub body_mib: Option<u64>,
    /// Requests per minute; `Some(None)` for no limit.
    pub per_minute: Option<Option<u64>>,
    /// The most retries of a request.
    pub retries: Option<u64>,
}

/// A resource that an API client wants to create.
#[derive(Debug, Clone)]
pub struct ProgramResource {
    pub kind: ResourceKind,
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The credential to use. It also determines the connector.
    pub credential: CredentialId,
    pub endpoint: EndpointPatch,
    /// What may be sent in its name, where that is not what its kind suggests.
    pub policy: Option<PolicyPatch>,
}

/// The changes that an API client wants in a resource. Absent values stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct ResourcePatch {
    pub name: Option<String>,
    pub description: Option<String>,
    /// Must have the same connector.
    pub credential: Option<CredentialId>,
    pub endpoint: Option<EndpointPatch>,
    /// Another policy.
    pub policy: Option<PolicyPatch>,
}

/// The result of creating a resource for an API client.
#[derive(Debug)]
pub enum ProgramCreation {
    /// Stored now, or earlier by the same request.
    Created(ResourceId),
    /// Fields are invalid: those of a resource and of [`EgressPolicy::parse`].
    Invalid(Vec<FieldError>),
    /// Another request has used this idempotency key.
    KeyUsed,
}

/// The result of changing a resource.
#[derive(Debug)]
pub enum ResourcePatched {
    /// The resource is as requested.
    Updated,
    /// Fields are invalid; nothing was changed.
    Invalid(Vec<FieldError>),
    /// The resource was changed in the meantime; nothing was changed now.
    Outdated,
    NotFound,
}

impl Service {
    /// One resource, if the caller may use its credential.
    pub async fn resource_record(&self, caller: &Caller, id: ResourceId) -> Result<Option<ResourceRecord>, ServiceError> {
        let viewer = self.viewer(caller, "seeing a resource").await?;
        let row = self.0.store.resource(viewer, id).await?.filter(|_| caller.reaches(id));
        Ok(row.map(|row| self.record_of(row)))
    }

    /// At most `limit` resources, of one kind or both, newest first, that come after `after`.
    pub async fn resource_records(
        &self,
        caller: &Caller,
        kind: Option<ResourceKind>,
        after: Option<ResourceId>,
        limit: i64,
    ) -> Result<ResourceRecords, ServiceError> {
        let kinds = kind.map_or(ResourceKind::ALL.to_vec(), |kind| vec![kind]);
        let (rows, next) = self.resource_rows(caller, &kinds, after, limit).await?;
        Ok(ResourceRecords { records: rows.into_iter().map(|row| self.record_of(row)).collect(), next })
    }

    /// If the sealed part can't be opened, logs that and leaves it out, so that the resource can be deleted.
    fn record_of(&self, row: ResourceRow) -> ResourceRecord {
        let sealed = match self.open_endpoint(&row) {
            Ok(opened) => Some((opened.endpoint, opened.policy)),
            Err(error) => {
                tracing::error!(resource = %row.id, error = &error as &dyn std::error::Error, "cannot decrypt a resource");
                None
            }
        };
        ResourceRecord { sealed, version: row.version, summary: row.into() }
    }

    /// Creates a resource for an API client. A repeated call with the same `once` creates nothing new.
    pub async fn create_resource_once(
        &self,
        caller: &Caller,
        once: Option<&Once>,
        wanted: ProgramResource,
    ) -> Result<ProgramCreation, ServiceError> {
        const WANTED: &str = "creating a resource";
        self.require_person(caller, Permission::MakeResources, WANTED).await?;
        self.require_unlimited(caller, Permission::MakeResources, WANTED).await?;
        if let Some(once) = once {
            match self.resource_of(once).await? {
                Seen::Not => {}
                Seen::Done(resource) => return Ok(ProgramCreation::Created(resource)),
                Seen::Other => return Ok(ProgramCreation::KeyUsed),
            }
        }
        let wrong = |field, message: String| Ok(ProgramCreation::Invalid(vec![FieldError::new(field, message)]));
        let Some((row, _)) = self.usable(caller, wanted.credential).await? else {
            return wrong("credential", FormError::CredentialUnknown.say());
        };
        let Some(connector) = self.catalogue().get(row.summary.connector.as_str()).cloned() else {
            return wrong("credential", FormError::CredentialWithoutConnector.say());
        };
        let kind = wanted.kind;
        if !connector.used_for.contains(&kind) {
            return wrong("kind", FormError::KindNotOffered.with(&[("service", &connector.name), ("kind", kind.as_str())]));
        }
        let raw = raw_resource(&connector, kind, wanted.name, wanted.description, wanted.endpoint, None);
        let policy = match wanted.policy {
            None => None,
            Some(patch) => {
                // An error in the endpoint is reported in any case, together with those of other fields.
                let method = self.parse_endpoint(&connector, kind, &raw).ok().map(|endpoint| endpoint.method);
                let before = EgressPolicy::of_kind(kind, method.unwrap_or(crate::domain::resources::Method::Get));
                match changed_policy(&before, patch) {
                    Ok(policy) => Some(policy),
                    Err(errors) => return Ok(ProgramCreation::Invalid(errors)),
                }
            }
        };
        let form = once.map_or_else(|| self.new_form(), |once| once.whole);
        let made = self.create_resource(caller, kind, &connector, wanted.credential, form, &raw, policy).await?;
        Ok(match made {
            ResourceCreation::Created(id) => ProgramCreation::Created(id),
            ResourceCreation::Invalid(errors) => ProgramCreation::Invalid(errors),
        })
    }

    /// Refuses callers who may not delete any resource.
    pub async fn may_delete_resources(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.require(caller, Permission::MakeResources, "deleting a resource").await
    }

    /// Applies all requested changes to a resource, or none. `seen` is the version that the client has seen, if it
    /// must still be current.
    pub async fn patch_resource(
        &self,
        caller: &Caller,
        id: ResourceId,
        seen: Option<i64>,
        patch: &ResourcePatch,
    ) -> Result<ResourcePatched, ServiceError> {
        const WANTED: &str = "changing a resource";
        self.require_person(caller, Permission::MakeResources, WANTED).await?;
        for _ in 0..TRIES {
            let Some(kind) = self.resource_kind(caller, id).await? else { return Ok(ResourcePatched::NotFound) };
            let Some((person, row)) = self.changeable(caller, kind, id, WANTED).await? else {
                return Ok(ResourcePatched::NotFound);
            };
            let opened = self.open_endpoint(&row)?;
            let wanted = match self.wanted(&row, &opened, patch) {
                Ok(wanted) => wanted,
                Err(errors) => return Ok(ResourcePatched::Invalid(errors)),
            };
            if wanted.changed.is_empty() {
                return Ok(ResourcePatched::Updated);
            }
            if seen.is_some_and(|seen| seen != row.version) {
                return Ok(ResourcePatched::Outdated);
            }
            let wrong = |error: FieldError| Ok(ResourcePatched::Invalid(vec![error]));
            let no_credential = || wrong(FieldError::of("credential", FormError::CredentialUnknownForConnector, &[]));
            // Asked here as well as at the moment of the change, which knows nothing of what a key is limited to.
            if wanted.credential != row.credential && self.usable(caller, wanted.credential).await?.is_none() {
                return no_credential();
            }
            let version = row.endpoint_version + i64::from(wanted.sealed.is_some());
            let place = Place::resource_endpoint(id, version, &row.connector);
            let sealed = wanted.sealed.map(|bytes| self.0.keyring.seal_packed(&place, &bytes));
            let change = ResourceUpdate {
                person,
                id,
                seen: row.version,
                name: &wanted.name,
                description: &wanted.description,
                credential: wanted.credential,
                endpoint: sealed.as_deref().unwrap_or(&row.endpoint),
                endpoint_version: version,
            };
            let about = target(TargetKind::Resource, id, wanted.name.as_str());
            let audit = self.audit(caller, AuditAction::ChangeResource, about, AuditOutcome::Done, wanted.changed.join(", "));
            let changed = self.0.store.change_resource(&change, &audit).await?;
            self.0.epoch.forget();
            match changed {
                ResourceChange::Changed => return Ok(ResourcePatched::Updated),
                ResourceChange::Outdated if seen.is_some() => return Ok(ResourcePatched::Outdated),
                // Someone changed another part of it at the same time; this choice still applies.
                ResourceChange::Outdated => {}
                ResourceChange::NotFound => return Ok(ResourcePatched::NotFound),
                ResourceChange::CredentialGone => return no_credential(),
                ResourceChange::NameTaken => {
                    let name = wanted.name.as_str();
                    let parts = [("kind", kind.as_str()), ("name", name)];
                    return wrong(FieldError::of("name", FormError::ResourceNameTakenByOwner, &parts));
                }
            }
        }
        Ok(ResourcePatched::Outdated)
    }

    /// The resource with the requested changes, and what differs.
    fn wanted(&self, row: &ResourceRow, opened: &OpenedEndpoint, patch: &ResourcePatch) -> Result<Wanted, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut changed = Vec::new();
        let name = Name::parse(patch.name.as_ref().unwrap_or(&row.name));
        let name = name.map_err(|message| errors.push(FieldError::new("name", message)));
        let description = Description::parse(patch.description.as_ref().unwrap_or(&row.description));
        let description = description.map_err(|message| errors.push(FieldError::new("description", message)));
        let endpoint = match &patch.endpoint {
            None => Ok(opened.endpoint.clone()),
            Some(wanted) => self.changed_endpoint(row, &opened.endpoint, wanted).map_err(|wrong| errors.extend(wrong)),
        };
        let policy = match &patch.policy {
            None => Ok(opened.is_chosen.then(|| opened.policy.clone())),
            Some(wanted) => changed_policy(&opened.policy, wanted.clone()).map(Some).map_err(|wrong| errors.extend(wrong)),
        };
        let (Ok(name), Ok(description), Ok(endpoint), Ok(policy)) = (name, description, endpoint, policy) else {
            return Err(errors);
        };
        let credential = patch.credential.unwrap_or(row.credential);
        let is_new = [
            ("name", name.as_str() != row.name),
            ("description", description.as_str() != row.description),
            ("credential", credential != row.credential),
            ("endpoint", endpoint != opened.endpoint),
        ];
        changed.extend(is_new.into_iter().filter(|(_, is_new)| *is_new).map(|(what, _)| what.to_owned()));
        let other_policy = policy.as_ref().filter(|policy| **policy != opened.policy);
        changed.extend(other_policy.map(egress_policy::words));
        let is_sealed = endpoint != opened.endpoint || other_policy.is_some();
        let sealed = is_sealed.then(|| endpoint_bytes(&endpoint, policy));
        Ok(Wanted { name, description, credential, sealed, changed })
    }

    fn changed_endpoint(&self, row: &ResourceRow, before: &Endpoint, patch: &EndpointPatch) -> Result<Endpoint, Vec<FieldError>> {
        let Some(connector) = self.catalogue().get(row.connector.as_str()) else {
            return Err(vec![FieldError::new("endpoint", FormError::ResourceWithoutConnector.say())]);
        };
        let raw = raw_resource(connector, row.kind, String::new(), String::new(), patch.clone(), Some(before));
        self.parse_endpoint(connector, row.kind, &raw)
    }
}

/// The resource as it is to be stored.
struct Wanted {
    name: Name,
    description: Description,
    credential: CredentialId,
    /// The new sealed part, if it changes.
    sealed: Option<Vec<u8>>,
    /// What changes, in words.
    changed: Vec<String>,
}

/// An API client's endpoint in the format of the form.
fn raw_resource(
    connector: &Connector,
    kind: ResourceKind,
    name: String,
    description: String,
    patch: EndpointPatch,
    before: Option<&Endpoint>,
) -> RawResource {
    let offer = patch.offer.unwrap_or_default();
    let offered = connector.endpoints_for(kind).find(|endpoint| endpoint.name == offer);
    let query = match (patch.query, offered, before) {
        (Some(query), _, _) => query,
        (None, Some(offered), _) => offered.query.clone(),
        (None, None, Some(before)) => before.query.clone(),
        (None, None, None) => Vec::new(),
    };
    RawResource {
        name,
        description,
        endpoint: offer,
        method: patch.method.or_else(|| before.map(|before| before.method.as_str().to_owned())).unwrap_or_default(),
        path: patch.path.or_else(|| before.map(|before| before.path.as_str().to_owned())).unwrap_or_default(),
        query,
    }
}

fn changed_policy(before: &EgressPolicy, patch: PolicyPatch) -> Result<EgressPolicy, Vec<FieldError>> {
    let mut raw: RawPolicy = before.to_raw();
    if let Some(methods) = patch.methods {
        raw.methods = methods;
    }
    if let Some(prefixes) = patch.prefixes {
        if prefixes.iter().any(|prefix| prefix.contains(['\n', '\r'])) {
            return Err(vec![FieldError::new("prefixes", FormError::PrefixWithBreak.say())]);
        }
        raw.prefixes = prefixes.join("\n");
    }
    if let Some(body_mib) = patch.body_mib {
        raw.body_mib = body_mib.to_string();
    }
    if let Some(per_minute) = patch.per_minute {
        raw.per_minute = per_minute.map(|number| number.to_string()).unwrap_or_default();
    }
    if let Some(retries) = patch.retries {
        raw.retries = retries.to_string();
    }
    EgressPolicy::parse(&raw)
}
