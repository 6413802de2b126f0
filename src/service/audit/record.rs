//! Recording in the audit trail: what is recorded of a call.

use crate::{
    domain::{
        access::permission::Permission,
        audit::{
            Audit, AuditEvent, AuditTarget,
            event::{AuditAction, AuditOutcome, TargetKind},
        },
        users::{Role, UserId},
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Who},
    },
};

/// What an action affected.
pub(in crate::service) fn target(kind: TargetKind, id: uuid::Uuid, name: impl Into<String>) -> Option<AuditTarget> {
    Some(AuditTarget { kind, id, name: name.into() })
}

impl Service {
    /// An action that a caller completed, to be recorded.
    pub(in crate::service) fn done(&self, caller: &Caller, action: AuditAction, target: Option<AuditTarget>) -> Audit<'_> {
        self.audit(caller, action, target, AuditOutcome::Done, "")
    }

    /// An action that a caller completed or tried. `detail` must be Keytile's own text, never the value of a field.
    pub(in crate::service) fn audit(
        &self,
        caller: &Caller,
        action: AuditAction,
        target: Option<AuditTarget>,
        outcome: AuditOutcome,
        detail: impl Into<String>,
    ) -> Audit<'_> {
        let event = AuditEvent {
            at: self.now(),
            actor: caller.actor(),
            action,
            target,
            outcome,
            address: caller.origin.address.clone(),
            request: caller.origin.request.clone(),
            detail: detail.into(),
        };
        Audit { event, chain: &self.0.chain }
    }

    /// Refuses callers without a permission, and records the refusal.
    pub(in crate::service) async fn require(
        &self,
        caller: &Caller,
        permission: Permission,
        wanted: &str,
    ) -> Result<(), ServiceError> {
        if caller.may(permission) {
            return Ok(());
        }
        let detail = match (&caller.who, caller.role()) {
            (Who::Key(_), _) => format!("{wanted}: not for this API key"),
            (_, role) => format!("{wanted}: not for the role {}", role.map_or("nobody", Role::as_str)),
        };
        self.0.store.record(&self.audit(caller, AuditAction::Refused, None, AuditOutcome::Refused, detail)).await?;
        Err(ServiceError::Refused(permission))
    }

    /// The same for actions whose result will belong to the user, which a command on the server can't do.
    pub(in crate::service) async fn require_person(
        &self,
        caller: &Caller,
        permission: Permission,
        wanted: &str,
    ) -> Result<UserId, ServiceError> {
        self.require(caller, permission, wanted).await?;
        caller.user().ok_or(ServiceError::Refused(permission))
    }

    /// Records a form that no page of the caller's session can have sent.
    pub async fn record_forged_form(&self, caller: &Caller, path: &str) -> Result<(), ServiceError> {
        let audit = self.audit(caller, AuditAction::ForgedForm, None, AuditOutcome::Refused, path);
        Ok(self.0.store.record(&audit).await?)
    }
}
