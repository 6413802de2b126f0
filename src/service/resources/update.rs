//! Sources and destinations as programs read, create and change them: all of one at once.

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
        credentials::{
            CredentialId,
            form::{FieldError, FieldFault},
        },
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

/// How often a change is made again that somebody else was faster with, where it does not matter what they changed.
const TRIES: usize = 5;

/// One resource, with what it may send.
#[derive(Debug, Clone)]
pub struct ResourceRecord {
    /// What lists show.
    pub summary: ResourceSummary,
    /// What it calls and what may be sent in its name; `None` where that does not open.
    pub sealed: Option<(Endpoint, EgressPolicy)>,
    /// Grows by one with every change; starts at 1.
    pub version: i64,
}

/// A page of resources, newest first.
#[derive(Debug, Clone)]
pub struct ResourceRecords {
    /// The resources.
    pub records: Vec<ResourceRecord>,
    /// Where the next page begins (`after`), if there is one.
    pub next: Option<ResourceId>,
}

/// What a program says of an endpoint. What it leaves out stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    /// The name of an endpoint that the connector offers.
    pub offer: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// All query parameters, name and value.
    pub query: Option<Vec<(String, String)>>,
}

/// What a program says of a policy. What it leaves out stays.
#[derive(Debug, Clone, Default)]
pub struct PolicyPatch {
    /// The methods.
    pub methods: Option<Vec<String>>,
    /// Path prefixes.
    pub prefixes: Option<Vec<String>>,
    /// The largest body, in MiB.
    pub body_mib: Option<u64>,
    /// Requests a minute; `Some(None)` for no bound.
    pub per_minute: Option<Option<u64>>,
    /// How often to try again.
    pub retries: Option<u64>,
}

/// A resource that a program wants to have created.
#[derive(Debug, Clone)]
pub struct ProgramResource {
    /// Source or destination.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// Its description, or an empty text.
    pub description: String,
    /// The credential that it is to use; its connector is that of the resource.
    pub credential: CredentialId,
    /// What it calls.
    pub endpoint: EndpointPatch,
    /// What may be sent in its name, where that is not what its kind suggests.
    pub policy: Option<PolicyPatch>,
}

/// What a program wants changed of a resource. What it leaves out stays.
#[derive(Debug, Clone, Default)]
pub struct ResourcePatch {
    /// Another name.
    pub name: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// Another credential of the same connector.
    pub credential: Option<CredentialId>,
    /// Another endpoint.
    pub endpoint: Option<EndpointPatch>,
    /// Another policy.
    pub policy: Option<PolicyPatch>,
}

/// How creating a resource for a program ended.
#[derive(Debug)]
pub enum ProgramCreation {
    /// It is stored, or was stored before by the same request.
    Created(ResourceId),
    /// Fields are wrong: those of a resource and of [`EgressPolicy::parse`].
    Invalid(Vec<FieldError>),
    /// Another request has used this idempotency key.
    KeyUsed,
}

/// How changing a resource ended.
#[derive(Debug)]
pub enum ResourcePatched {
    /// It is what was asked for.
    Updated,
    /// Fields are wrong; nothing was changed.
    Invalid(Vec<FieldError>),
    /// Somebody changed it meanwhile; nothing was changed now.
    Outdated,
    /// There is no such resource for the caller.
    NotFound,
}

impl Service {
    /// One resource, if the caller may use its credential.
    pub async fn resource_record(&self, caller: &Caller, id: ResourceId) -> Result<Option<ResourceRecord>, ServiceError> {
        let viewer = self.viewer(caller, "seeing a resource").await?;
        let row = self.0.store.resource(viewer, id).await?.filter(|_| caller.reaches(id));
        Ok(row.map(|row| self.record_of(row)))
    }

    /// At most `limit` resources, of one kind or of both, newest first, beginning behind one.
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

    /// What does not open is shown without, so that it can be deleted; it is logged.
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

    /// Creates a resource for a program. Asked again with the same `once`, it is created no second time.
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
            return wrong("credential", "You don't have access to a credential with this ID.".into());
        };
        let Some(connector) = self.catalogue().get(row.summary.connector.as_str()).cloned() else {
            return wrong("credential", "This credential's connector isn't installed.".into());
        };
        let kind = wanted.kind;
        if !connector.used_for.contains(&kind) {
            return wrong("kind", format!("{} can't be used as a {}.", connector.name, kind.as_str()));
        }
        let raw = raw_resource(&connector, kind, wanted.name, wanted.description, wanted.endpoint, None);
        let policy = match wanted.policy {
            None => None,
            Some(patch) => {
                // What is wrong with the endpoint is told in any case, and with the other fields.
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

    /// Goes on only for a caller who may delete resources at all.
    pub async fn may_delete_resources(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.require(caller, Permission::MakeResources, "deleting a resource").await
    }

    /// Changes a resource: everything that is asked for, or nothing. `seen` is the version that the program has seen, if
    /// that matters.
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
            let no_credential = || {
                let message = "You don't have access to a credential with this ID for the same connector.";
                wrong(FieldError::new("credential", message))
            };
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
                // Somebody changed something else of it in between; this choice still stands.
                ResourceChange::Outdated => {}
                ResourceChange::NotFound => return Ok(ResourcePatched::NotFound),
                ResourceChange::CredentialGone => return no_credential(),
                ResourceChange::NameTaken => {
                    let name = wanted.name.as_str();
                    let message = format!("Its owner already has a data {} named “{name}”. Choose another name.", kind.as_str());
                    return wrong(FieldError::new("name", message).coded(FieldFault::Taken));
                }
            }
        }
        Ok(ResourcePatched::Outdated)
    }

    /// What a resource is to be, and what of it is different from what it is.
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
            return Err(vec![FieldError::new("endpoint", "This resource's connector isn't installed.")]);
        };
        let raw = raw_resource(connector, row.kind, String::new(), String::new(), patch.clone(), Some(before));
        self.parse_endpoint(connector, row.kind, &raw)
    }
}

/// What a resource is to be.
struct Wanted {
    name: Name,
    description: Description,
    credential: CredentialId,
    /// What is to be sealed, if that changes.
    sealed: Option<Vec<u8>>,
    /// What changes, in words.
    changed: Vec<String>,
}

/// What a program says of an endpoint, as it would be typed.
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
            return Err(vec![FieldError::new("prefixes", "Write each path without a line break.")]);
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
