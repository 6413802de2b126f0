//! Transfers everything that one user owns to another in one step, for example before they leave.

use super::caller::Caller;
use crate::{
    domain::{
        access::{
            permission::Permission,
            transfer::{Owned, Transferred},
        },
        audit::event::{AuditAction, TargetKind},
        credentials::form::FieldError,
        form_errors::FormError,
        users::{Email, Role, UserId},
    },
    service::{Service, ServiceError, audit::record::target},
    store::{HandOver, HandOverResult},
};

pub enum HandOverOutcome {
    /// It is done.
    Done(Transferred),
    /// The field `to` is wrong.
    Invalid(FieldError),
    NotFound,
}

impl Service {
    /// Transfers everything that a user owns to the user with the email address `to`. The API keys of `from` are
    /// revoked.
    pub async fn hand_over(&self, caller: &Caller, from: UserId, to: &str) -> Result<HandOverOutcome, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "transfer ownership").await?;
        let Some(giver) = self.0.store.user(from).await? else { return Ok(HandOverOutcome::NotFound) };
        let wrong = |error: FormError| Ok(HandOverOutcome::Invalid(FieldError::of("to", error, &[])));
        let email = match Email::parse(to) {
            Ok(email) => email,
            Err(message) => return Ok(HandOverOutcome::Invalid(FieldError::new("to", message))),
        };
        let Some(receiver) = self.0.store.user_of_email(&email).await? else {
            return wrong(FormError::EmailUnknown);
        };
        if receiver.id == giver.id {
            return wrong(FormError::OwnerAlready);
        }
        let order = HandOver {
            from,
            from_name: &giver.name,
            to: receiver.id,
            to_email: &receiver.email,
            can_own: |role, owned| lacking(role, owned).is_none(),
            at: self.now(),
        };
        let audit = self.done(caller, AuditAction::HandOver, target(TargetKind::User, from, &giver.email));
        let result = self.0.store.hand_over(&order, &audit).await?;
        self.0.epoch.forget();
        match result {
            HandOverResult::Done(handed_over) => Ok(HandOverOutcome::Done(handed_over)),
            HandOverResult::NotActive => wrong(FormError::OwnerDisabled),
            HandOverResult::RoleTooLow(owned) => wrong(lacking(receiver.role, &owned).unwrap_or(FormError::OwnerRoleChanged)),
            HandOverResult::Busy => wrong(FormError::CreatedMeanwhile),
        }
    }
}

/// Why somebody of this role cannot own so much; `None` if they can.
fn lacking(role: Role, owned: &Owned) -> Option<FormError> {
    if owned.credentials > 0 && !role.may(Permission::MakeCredentials) {
        return Some(FormError::OwnerOfCredentials);
    }
    if owned.resources > 0 && !role.may(Permission::MakeResources) {
        return Some(FormError::OwnerOfResources);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_own_what_follows_from_the_role() {
        let own = |credentials, resources| Owned { credentials, resources, api_keys: 9 };
        let can = |role, owned| lacking(role, &owned).is_none();
        assert_eq!(Role::ALL.map(|role| can(role, own(1, 1))), [true, true, false, false]);
        assert_eq!(Role::ALL.map(|role| can(role, own(0, 1))), [true, true, true, false]);
        assert_eq!(Role::ALL.map(|role| can(role, own(0, 0))), [true; 4]);
        assert_eq!(lacking(Role::Operator, &own(1, 0)), Some(FormError::OwnerOfCredentials));
    }
}
