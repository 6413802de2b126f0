//! Groups of users that credentials can be shared with. For administrators.

use uuid::Uuid;

use super::caller::Caller;
use crate::{
    domain::{
        access::{
            group::{Group, GroupMember, GroupShare},
            permission::Permission,
        },
        audit::event::{AuditAction, TargetKind},
        credentials::form::FieldError,
        form_errors::FormError,
        naming::Name,
        users::{Email, UserId},
    },
    service::{
        Service, ServiceError,
        audit::record::target,
        pagination::{self, PAGE},
    },
    store::GroupChange,
};

/// The most shares that are listed before a group is deleted.
const SHARES_MAX: i64 = 100;

pub struct GroupsPage {
    /// The groups, newest first.
    pub groups: Vec<Group>,
    /// What to go on after, if there are more.
    pub next: Option<Uuid>,
}

pub struct GroupDetail {
    /// The group.
    pub group: Group,
    /// The members, the newest accounts first.
    pub members: Vec<GroupMember>,
    /// The cursor of the next page, if there is one.
    pub next: Option<UserId>,
}

/// A group and what is shared with it.
pub struct GroupShares {
    /// The group.
    pub group: Group,
    /// The shares, at most 100.
    pub shares: Vec<GroupShare>,
}

/// The result of changing a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupOutcome {
    /// Done, for the group with this id.
    Done(Uuid),
    /// A field is invalid: `name` or `email`.
    Invalid(FieldError),
    NotFound,
}

impl Service {
    pub async fn groups(&self, caller: &Caller, after: Option<Uuid>) -> Result<GroupsPage, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "list groups").await?;
        let mut groups = self.0.store.groups_page(after, PAGE + 1).await?;
        Ok(GroupsPage { next: pagination::cut(&mut groups, |group| group.id), groups })
    }

    /// A group, and a page of its members.
    pub async fn group(&self, caller: &Caller, id: Uuid, after: Option<UserId>) -> Result<Option<GroupDetail>, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "look at a group").await?;
        let Some(group) = self.0.store.group(id).await? else { return Ok(None) };
        let mut members = self.0.store.group_members(id, after, PAGE + 1).await?;
        let next = pagination::cut(&mut members, |member| member.id);
        Ok(Some(GroupDetail { group, members, next }))
    }

    /// A group, and the shares that deleting it would remove.
    pub async fn group_shares(&self, caller: &Caller, id: Uuid) -> Result<Option<GroupShares>, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "look at a group").await?;
        let Some(group) = self.0.store.group(id).await? else { return Ok(None) };
        Ok(Some(GroupShares { shares: self.0.store.shares_of_group(id, SHARES_MAX).await?, group }))
    }

    pub async fn add_group(&self, caller: &Caller, name: &str) -> Result<GroupOutcome, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "add a group").await?;
        let name = match Name::parse(name) {
            Ok(name) => name,
            Err(message) => return Ok(invalid("name", message)),
        };
        let id = self.new_id();
        let audit = self.done(caller, AuditAction::AddGroup, target(TargetKind::Group, id, name.as_str()));
        Ok(outcome(self.0.store.insert_group(id, &name, self.now(), &audit).await?, id))
    }

    pub async fn rename_group(&self, caller: &Caller, id: Uuid, name: &str) -> Result<GroupOutcome, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "rename a group").await?;
        let Some(group) = self.0.store.group(id).await? else { return Ok(GroupOutcome::NotFound) };
        let name = match Name::parse(name) {
            Ok(name) => name,
            Err(message) => return Ok(invalid("name", message)),
        };
        if group.name == name.as_str() {
            return Ok(GroupOutcome::Done(id));
        }
        let audit = self
            .done(caller, AuditAction::ChangeGroup, target(TargetKind::Group, id, &group.name))
            .saying(format!("renamed to {}", name.as_str()));
        Ok(outcome(self.0.store.rename_group(id, &name, &audit).await?, id))
    }

    /// Deletes a group and its shares. Deleting it again has the same result.
    pub async fn delete_group(&self, caller: &Caller, id: Uuid) -> Result<(), ServiceError> {
        self.require(caller, Permission::ManageAccounts, "delete a group").await?;
        let Some(group) = self.0.store.group(id).await? else { return Ok(()) };
        let audit = self
            .done(caller, AuditAction::DeleteGroup, target(TargetKind::Group, id, &group.name))
            .saying(format!("{} members, {} shares", group.members, group.shares));
        self.0.store.delete_group(id, &audit).await?;
        self.0.epoch.forget();
        Ok(())
    }

    /// Adds a user to a group, by email address.
    pub async fn add_to_group(&self, caller: &Caller, id: Uuid, email: &str) -> Result<GroupOutcome, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "change a group").await?;
        let Some(group) = self.0.store.group(id).await? else { return Ok(GroupOutcome::NotFound) };
        let email = match Email::parse(email) {
            Ok(email) => email,
            Err(message) => return Ok(invalid("email", message)),
        };
        let Some(person) = self.0.store.user_of_email(&email).await? else {
            return Ok(invalid("email", FormError::EmailUnknown.say()));
        };
        let audit = self
            .done(caller, AuditAction::ChangeGroup, target(TargetKind::Group, id, &group.name))
            .saying(format!("{} added", person.email));
        let change = self.0.store.add_to_group(id, person.id, &audit).await?;
        self.0.epoch.forget();
        Ok(outcome(change, id))
    }

    pub async fn remove_from_group(&self, caller: &Caller, id: Uuid, member: UserId) -> Result<GroupOutcome, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "change a group").await?;
        let Some(group) = self.0.store.group(id).await? else { return Ok(GroupOutcome::NotFound) };
        let Some(person) = self.0.store.user(member).await? else { return Ok(GroupOutcome::Done(id)) };
        let audit = self
            .done(caller, AuditAction::ChangeGroup, target(TargetKind::Group, id, &group.name))
            .saying(format!("{} removed", person.email));
        let change = self.0.store.remove_from_group(id, member, &audit).await?;
        self.0.epoch.forget();
        Ok(outcome(change, id))
    }
}

fn outcome(change: GroupChange, id: Uuid) -> GroupOutcome {
    match change {
        GroupChange::Changed | GroupChange::Unchanged => GroupOutcome::Done(id),
        GroupChange::NameTaken => invalid("name", FormError::GroupNameTaken.say()),
        GroupChange::NotFound => GroupOutcome::NotFound,
    }
}

fn invalid(field: &str, message: String) -> GroupOutcome {
    GroupOutcome::Invalid(FieldError::new(field, message))
}
