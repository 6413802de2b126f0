//! Authorization: what a caller may do with one credential or resource. The role sets the most a caller may do at
//! all ([`Permission`]), the owner and the shares say with which credential; both must allow it.
//!
//! A credential or resource that the caller may not use is reported like one that doesn't exist (`None`). One that
//! the caller may use but not manage is refused, and the refusal is recorded.

use uuid::Uuid;

use super::caller::Caller;
use crate::{
    domain::{
        access::permission::{Access, Permission},
        audit::{
            AuditTarget,
            event::{AuditAction, AuditOutcome, TargetKind},
        },
        credentials::CredentialId,
        resources::{ResourceId, ResourceKind},
        users::UserId,
    },
    service::{Service, ServiceError, audit::record::target},
    store::{CredentialRow, ResourceRow},
};

/// A caller's access to a credential that was read for them.
pub(in crate::service) fn access_to(caller: &Caller, row: &CredentialRow) -> Option<Access> {
    Some(caller.role()?.limits(row.access?))
}

/// True if a caller may change and delete a resource that was read for them: they own it, or manage its credential.
pub(in crate::service) fn may_change(caller: &Caller, row: &ResourceRow) -> bool {
    let manages = caller.role().zip(row.access).is_some_and(|(role, access)| role.limits(access) == Access::Manage);
    caller.may(Permission::MakeResources) && (manages || (row.owner.is_some() && row.owner == caller.user()))
}

impl Service {
    /// The user whose resources a caller may view. The nil id, which belongs to no user, sees what is shared with
    /// everyone.
    pub(in crate::service) async fn viewer(&self, caller: &Caller, wanted: &str) -> Result<UserId, ServiceError> {
        self.require(caller, Permission::Look, wanted).await?;
        Ok(caller.user().unwrap_or(Uuid::nil()))
    }

    /// The user whose credentials a caller may view. Managing credentials includes viewing them, which matters for
    /// API keys with only that scope.
    pub(in crate::service) async fn credential_viewer(&self, caller: &Caller, wanted: &str) -> Result<UserId, ServiceError> {
        if !caller.may(Permission::MakeCredentials) {
            self.require(caller, Permission::Look, wanted).await?;
        }
        Ok(caller.user().unwrap_or(Uuid::nil()))
    }

    /// A credential that the caller may use, and their access to it.
    pub(in crate::service) async fn usable(
        &self,
        caller: &Caller,
        id: CredentialId,
    ) -> Result<Option<(CredentialRow, Access)>, ServiceError> {
        let viewer = self.credential_viewer(caller, "seeing a credential").await?;
        let row = self.0.store.credential_for(viewer, id).await?;
        let Some((row, access)) = row.and_then(|row| access_to(caller, &row).map(|access| (row, access))) else { return Ok(None) };
        if let Some(resources) = caller.resources()
            && !self.uses_credential(viewer, resources, id).await?
        {
            return Ok(None);
        }
        Ok(Some((row, access)))
    }

    /// True if one of these resources uses a credential.
    async fn uses_credential(&self, viewer: UserId, resources: &[ResourceId], id: CredentialId) -> Result<bool, ServiceError> {
        for resource in resources {
            if self.0.store.resource(viewer, *resource).await?.is_some_and(|row| row.credential == id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses callers that are limited to certain resources, because what they created would be out of their
    /// reach.
    pub(in crate::service) async fn require_unlimited(
        &self,
        caller: &Caller,
        permission: Permission,
        wanted: &str,
    ) -> Result<(), ServiceError> {
        match caller.resources() {
            None => Ok(()),
            Some(_) => self.refuse(caller, None, format!("{wanted}: this API key is for some resources only"), permission).await,
        }
    }

    /// A credential that the caller may manage, and the user they act as.
    pub(in crate::service) async fn managed(
        &self,
        caller: &Caller,
        id: CredentialId,
        wanted: &str,
    ) -> Result<Option<(UserId, CredentialRow)>, ServiceError> {
        let manager = self.require_person(caller, Permission::MakeCredentials, wanted).await?;
        match self.usable(caller, id).await? {
            None => Ok(None),
            Some((row, Access::Manage)) => Ok(Some((manager, row))),
            Some((row, Access::Use)) => {
                let about = target(TargetKind::Credential, id, row.summary.name);
                let detail = format!("{wanted}: it is shared for use only");
                self.refuse(caller, about, detail, Permission::MakeCredentials).await
            }
        }
    }

    /// A resource of this kind whose credential the caller may use.
    pub(in crate::service) async fn seen_resource(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<ResourceRow>, ServiceError> {
        let viewer = self.viewer(caller, "seeing a resource").await?;
        let row = self.0.store.resource(viewer, id).await?;
        Ok(row.filter(|row| row.kind == kind && caller.reaches(id)))
    }

    /// The kind of a resource whose credential the caller may use.
    pub async fn resource_kind(&self, caller: &Caller, id: ResourceId) -> Result<Option<ResourceKind>, ServiceError> {
        let viewer = self.viewer(caller, "seeing a resource").await?;
        let row = self.0.store.resource(viewer, id).await?;
        Ok(row.filter(|_| caller.reaches(id)).map(|row| row.kind))
    }

    /// A resource that the caller may change, and the user they act as.
    pub(in crate::service) async fn changeable(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
        wanted: &str,
    ) -> Result<Option<(UserId, ResourceRow)>, ServiceError> {
        let person = self.require_person(caller, Permission::MakeResources, wanted).await?;
        let Some(row) = self.seen_resource(caller, kind, id).await? else { return Ok(None) };
        if may_change(caller, &row) {
            return Ok(Some((person, row)));
        }
        let about = target(TargetKind::Resource, id, row.name);
        let detail = format!("{wanted}: it is someone else's, and its credential is shared for use only");
        self.refuse(caller, about, detail, Permission::MakeResources).await
    }

    async fn refuse<T>(
        &self,
        caller: &Caller,
        about: Option<AuditTarget>,
        detail: String,
        permission: Permission,
    ) -> Result<T, ServiceError> {
        self.0.store.record(&self.audit(caller, AuditAction::Refused, about, AuditOutcome::Refused, detail)).await?;
        Err(ServiceError::Refused(permission))
    }
}
