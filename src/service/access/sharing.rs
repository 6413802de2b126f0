//! Sharing: who may use or manage a credential in addition to its owner. Everyone who manages a credential may
//! change that, for one user or group at a time. Each change is recorded and takes effect immediately.

use uuid::Uuid;

use super::caller::Caller;
use crate::{
    domain::{
        access::permission::{Access, Sharing},
        audit::{
            AuditTarget,
            event::{AuditAction, AuditOutcome, TargetKind},
        },
        credentials::CredentialId,
        naming::name_key,
        users::email_key,
    },
    service::{Service, ServiceError, audit::record::target, credentials::Tile},
    store::{CredentialRow, NewShare, ShareChange, ShareWith, Sharee},
};

/// How many users and groups are suggested; any other can be typed.
const OFFERS: i64 = 500;
/// The most shares of one credential, which is also the number that its page lists.
const SHARES_MAX: usize = 1_000;
/// What was attempted, in the audit record of a refusal.
const WANTED: &str = "sharing a credential";

#[derive(Debug, Clone)]
pub struct SharingDetail {
    pub tile: Tile,
    /// The shares, sorted by name.
    pub shares: Vec<Share>,
    /// Email address and name of suggested users, at most 500.
    pub people: Vec<(String, String)>,
    /// Names of suggested groups, at most 500.
    pub groups: Vec<String>,
}

/// A user or group that a credential is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub id: Uuid,
    /// The name of the user or group.
    pub name: String,
    /// The user's email address; `None` for a group.
    pub email: Option<String>,
    /// What the user or group may do.
    pub access: Access,
}

/// The result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharingOutcome {
    /// Done. Contains the access that the caller still has, because they may have changed their own.
    Changed(Option<Access>),
    /// No user or group matches the input; a sentence for the person who typed it.
    Invalid(String),
    /// The credential doesn't exist for the caller, or has no such share.
    NotFound,
}

impl Service {
    /// The shares of a credential that the caller may manage.
    pub async fn sharing(&self, caller: &Caller, id: CredentialId) -> Result<Option<SharingDetail>, ServiceError> {
        let Some((_, row)) = self.managed(caller, id, WANTED).await? else { return Ok(None) };
        let store = &self.0.store;
        let (people, groups) = (store.people_to_share_with(OFFERS).await?, store.groups_to_share_with(OFFERS).await?);
        let shares = self.shares(id).await?;
        Ok(Some(SharingDetail { tile: self.tile(caller, row, Access::Manage), shares, people, groups }))
    }

    /// Lets everyone use a credential, or makes it private again. Shares with users and groups are kept.
    pub async fn open_credential(
        &self,
        caller: &Caller,
        id: CredentialId,
        sharing: Sharing,
    ) -> Result<SharingOutcome, ServiceError> {
        let Some((manager, row)) = self.managed(caller, id, WANTED).await? else { return Ok(SharingOutcome::NotFound) };
        let detail = match sharing {
            Sharing::Everyone => "open to everyone",
            Sharing::Private => "not open to everyone",
        };
        let audit = self.audit(caller, AuditAction::ShareCredential, about(&row), AuditOutcome::Done, detail);
        let change = self.0.store.set_sharing(manager, id, sharing, &audit).await?;
        self.shared(caller, id, change).await
    }

    /// Shares a credential with the user who has this email address, or the group that has this name.
    pub async fn share_credential(
        &self,
        caller: &Caller,
        id: CredentialId,
        with: &str,
        access: Access,
    ) -> Result<SharingOutcome, ServiceError> {
        let Some((manager, row)) = self.managed(caller, id, WANTED).await? else { return Ok(SharingOutcome::NotFound) };
        let typed = with.trim();
        if typed.is_empty() {
            return Ok(SharingOutcome::Invalid("Enter a person's email address or a group's name.".into()));
        }
        let nobody = || {
            let typed: String = typed.chars().take(100).collect();
            SharingOutcome::Invalid(format!("No active account or group matches “{typed}”."))
        };
        // PostgreSQL rejects text with a NUL, and no name contains one.
        if typed.contains('\0') {
            return Ok(nobody());
        }
        let (with, name) = match self.0.store.person_to_share_with(&email_key(typed)).await? {
            Some((person, _)) if row.owner.as_ref().is_some_and(|owner| owner.id == person) => {
                return Ok(SharingOutcome::Invalid("This person owns the credential and can already manage it.".into()));
            }
            Some((person, email)) => (ShareWith::Person(person), email),
            None => match self.0.store.group_to_share_with(&name_key(typed)).await? {
                Some((group, name)) => (ShareWith::Group(group), format!("the group {name}")),
                None => return Ok(nobody()),
            },
        };
        if self.0.store.shares_of(id).await?.len() >= SHARES_MAX {
            let words = format!("Already shared with {SHARES_MAX} people and groups. Share it with a group instead.");
            return Ok(SharingOutcome::Invalid(words));
        }
        let detail = format!("{} for {name}", access.as_str());
        let audit = self.audit(caller, AuditAction::ShareCredential, about(&row), AuditOutcome::Done, detail);
        let new = NewShare { id: self.new_id(), credential: id, with, access };
        match self.0.store.put_share(manager, &new, &audit).await? {
            ShareChange::ShareeGone => Ok(nobody()),
            change => self.shared(caller, id, change).await,
        }
    }

    /// Changes the access of a share, or removes the share (`None`).
    pub async fn change_share(
        &self,
        caller: &Caller,
        id: CredentialId,
        share: Uuid,
        access: Option<Access>,
    ) -> Result<SharingOutcome, ServiceError> {
        let Some((manager, row)) = self.managed(caller, id, WANTED).await? else { return Ok(SharingOutcome::NotFound) };
        let Some(known) = self.shares(id).await?.into_iter().find(|known| known.id == share) else {
            return Ok(SharingOutcome::NotFound);
        };
        let name = known.email.unwrap_or_else(|| format!("the group {}", known.name));
        let detail = match access {
            Some(access) => format!("{} for {name}", access.as_str()),
            None => format!("removed for {name}"),
        };
        let audit = self.audit(caller, AuditAction::ShareCredential, about(&row), AuditOutcome::Done, detail);
        let change = self.0.store.change_share(manager, id, share, access, &audit).await?;
        self.shared(caller, id, change).await
    }

    async fn shares(&self, id: CredentialId) -> Result<Vec<Share>, ServiceError> {
        let rows = self.0.store.shares_of(id).await?.into_iter();
        let mut shares: Vec<_> = rows
            .map(|row| {
                let (name, email) = match row.with {
                    Sharee::Person { name, email, .. } => (name, Some(email)),
                    Sharee::Group { name, .. } => (name, None),
                };
                Share { id: row.id, name, email, access: row.access }
            })
            .collect();
        shares.sort_by_cached_key(|share| (name_key(&share.name), share.email.clone()));
        Ok(shares)
    }

    /// The result of a change, with the access that the caller still has.
    async fn shared(&self, caller: &Caller, id: CredentialId, change: ShareChange) -> Result<SharingOutcome, ServiceError> {
        if change != ShareChange::Changed {
            return Ok(SharingOutcome::NotFound);
        }
        self.0.epoch.forget();
        Ok(SharingOutcome::Changed(self.usable(caller, id).await?.map(|(_, access)| access)))
    }
}

fn about(row: &CredentialRow) -> Option<AuditTarget> {
    target(TargetKind::Credential, row.summary.id, row.summary.name.as_str())
}
