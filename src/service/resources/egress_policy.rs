//! Changing the egress policy of a resource: which requests may be sent for it.

use super::read::{OpenedEndpoint, endpoint_bytes};
use crate::{
    crypto::envelope::Place,
    domain::{
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        credentials::form::FieldError,
        resources::{
            ResourceId, ResourceKind,
            egress_policy::{EgressContract, RawContract},
        },
    },
    service::{Service, ServiceError, access::caller::Caller, audit::record::target},
    store::ResourceChange,
};

/// The result of changing an egress policy.
#[derive(Debug)]
pub enum ContractChange {
    /// Changed, with immediate effect.
    Changed,
    /// Fields are invalid: see [`EgressContract::parse`].
    Invalid(Vec<FieldError>),
    /// The resource was changed after the expected version.
    Outdated,
    NotFound,
}

impl Service {
    /// Changes the egress policy of a resource, if the resource still has the expected version.
    pub async fn change_contract(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
        seen: i64,
        raw: &RawContract,
    ) -> Result<ContractChange, ServiceError> {
        let Some((person, row)) = self.changeable(caller, kind, id, "changing an egress policy").await? else {
            return Ok(ContractChange::NotFound);
        };
        let contract = match EgressContract::parse(raw) {
            Ok(contract) => contract,
            Err(errors) => return Ok(ContractChange::Invalid(errors)),
        };
        if row.version != seen {
            return Ok(ContractChange::Outdated);
        }
        let OpenedEndpoint { endpoint, .. } = self.open_endpoint(&row)?;
        let version = row.endpoint_version + 1;
        let place = Place::resource_endpoint(id, version, &row.connector);
        let detail = words(&contract);
        let sealed = self.0.keyring.seal_packed(&place, &endpoint_bytes(&endpoint, Some(contract)));
        let about = target(TargetKind::Resource, id, row.name);
        let audit = self.audit(caller, AuditAction::ChangeResource, about, AuditOutcome::Done, detail);
        let change = self.0.store.set_resource_endpoint(person, id, &sealed, version, seen, &audit).await?;
        self.0.epoch.forget();
        Ok(match change {
            ResourceChange::Changed => ContractChange::Changed,
            ResourceChange::Outdated => ContractChange::Outdated,
            ResourceChange::CredentialGone | ResourceChange::NameTaken | ResourceChange::NotFound => ContractChange::NotFound,
        })
    }
}

/// The policy in words, for the audit trail. Leaves out paths, because they are sealed where they are stored.
pub(in crate::service) fn words(contract: &EgressContract) -> String {
    let bound = contract.per_minute.map_or("no limit".into(), |number| format!("{number} per minute"));
    format!("allows {}, {bound}, {} retries", contract.allow(), contract.retries)
}
