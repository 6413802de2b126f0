//! Changing the egress policy of a resource: which requests may be sent for it.

use super::read::{OpenedEndpoint, endpoint_bytes};
use crate::{
    crypto::envelope::Place,
    domain::{
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        credentials::form::FieldError,
        resources::{
            ResourceId, ResourceKind,
            egress_policy::{EgressPolicy, RawPolicy},
        },
    },
    service::{Service, ServiceError, access::caller::Caller, audit::record::target},
    store::ResourceChange,
};

/// How changing a policy ended.
#[derive(Debug)]
pub enum PolicyChange {
    /// It holds from now on.
    Changed,
    /// Fields are wrong: see [`EgressPolicy::parse`].
    Invalid(Vec<FieldError>),
    /// The resource was changed after the expected version.
    Outdated,
    NotFound,
}

impl Service {
    /// Gives a resource another policy, if it still has the version that was seen.
    pub async fn change_policy(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
        seen: i64,
        raw: &RawPolicy,
    ) -> Result<PolicyChange, ServiceError> {
        let Some((person, row)) = self.changeable(caller, kind, id, "changing an egress policy").await? else {
            return Ok(PolicyChange::NotFound);
        };
        let policy = match EgressPolicy::parse(raw) {
            Ok(policy) => policy,
            Err(errors) => return Ok(PolicyChange::Invalid(errors)),
        };
        if row.version != seen {
            return Ok(PolicyChange::Outdated);
        }
        let OpenedEndpoint { endpoint, .. } = self.open_endpoint(&row)?;
        let version = row.endpoint_version + 1;
        let place = Place::resource_endpoint(id, version, &row.connector);
        let detail = words(&policy);
        let sealed = self.0.keyring.seal_packed(&place, &endpoint_bytes(&endpoint, Some(policy)));
        let about = target(TargetKind::Resource, id, row.name);
        let audit = self.audit(caller, AuditAction::ChangeResource, about, AuditOutcome::Done, detail);
        let change = self.0.store.set_resource_endpoint(person, id, &sealed, version, seen, &audit).await?;
        self.0.epoch.forget();
        Ok(match change {
            ResourceChange::Changed => PolicyChange::Changed,
            ResourceChange::Outdated => PolicyChange::Outdated,
            ResourceChange::CredentialGone | ResourceChange::NameTaken | ResourceChange::NotFound => PolicyChange::NotFound,
        })
    }
}

/// Of what a policy is, only as much as may be read at rest: paths are sealed where they are stored.
pub(in crate::service) fn words(policy: &EgressPolicy) -> String {
    let bound = policy.per_minute.map_or("no limit".into(), |number| format!("{number} per minute"));
    format!("allows {}, {bound}, {} retries", policy.allow(), policy.retries)
}
