//! Managing users: adding, changing and disabling them. For administrators and for commands on the server.

use secrecy::SecretString;
use uuid::Uuid;

use super::{password_links::PasswordLink, setup::NewHash};
use crate::{
    domain::{
        access::{permission::Permission, transfer::Owned},
        audit::{
            AuditTarget,
            event::{AuditAction, TargetKind},
        },
        credentials::form::FieldError,
        form_errors::FormError,
        naming::{Name, name_key},
        time::Timestamp,
        users::{Email, Role, User, UserId},
    },
    service::{
        Service, ServiceError,
        access::caller::Caller,
        audit::record::target,
        pagination::{self, PAGE},
    },
    store::{NewUser, StateChange, UserChange, UserChanged, UserInsert},
};

/// The most groups that are listed for a user.
const GROUPS_MAX: i64 = 100;

/// The form for a user, as it was submitted.
#[derive(Debug, Clone, Default)]
pub struct RawPerson {
    pub email: String,
    pub name: String,
    /// The name of the role.
    pub role: String,
}

pub struct PeoplePage {
    /// The people, newest first.
    pub people: Vec<User>,
    /// What to go on after, if there are more.
    pub next: Option<UserId>,
}

/// One user, and what belongs to them.
pub struct PersonDetail {
    /// The account.
    pub user: User,
    /// The groups they are in: ids and names.
    pub groups: Vec<(Uuid, String)>,
    /// The number of live sessions.
    pub sessions: usize,
    /// How much they own.
    pub owned: Owned,
    /// When their password link expires, if they have one.
    pub link_until: Option<Timestamp>,
}

/// The result of adding a user.
pub enum PersonAdded {
    Added {
        id: UserId,
        /// The link for choosing a password; `None` if the user has a password.
        link: Option<PasswordLink>,
    },
    /// Fields are invalid: `email`, `name`, `role` or `password`.
    Invalid(Vec<FieldError>),
    /// Too many passwords are being hashed; trying again helps.
    Busy,
}

/// The result of changing a user.
pub enum PersonChanged {
    Changed {
        /// True if their sessions ended because they gained rights.
        sessions_ended: bool,
    },
    /// Fields are invalid: `email`, `name` or `role`.
    Invalid(Vec<FieldError>),
    /// The user was changed after the expected version.
    Outdated,
    NotFound,
}

/// The result of disabling or enabling a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonState {
    Done,
    /// Refused: without the last active administrator, nobody could let others in.
    LastAdministrator,
    NotFound,
}

/// A submitted form whose fields are all valid.
struct ParsedPerson {
    email: Email,
    name: Name,
    role: Role,
}

impl RawPerson {
    fn parse(&self) -> Result<ParsedPerson, Vec<FieldError>> {
        let mut errors = Vec::new();
        let email = Email::parse(&self.email).map_err(|message| errors.push(FieldError::new("email", message)));
        let name = Name::parse(&self.name).map_err(|message| errors.push(FieldError::new("name", message)));
        let role = Role::parse(&self.role).ok_or_else(|| errors.push(FieldError::new("role", FormError::RoleMissing.say())));
        match (email, name, role) {
            (Ok(email), Ok(name), Ok(role)) => Ok(ParsedPerson { email, name, role }),
            _ => Err(errors),
        }
    }
}

impl Service {
    /// A page of users whose name or email address contains the search.
    pub async fn people(&self, caller: &Caller, search: &str, after: Option<UserId>) -> Result<PeoplePage, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "list people").await?;
        let search = Some(search.trim()).filter(|search| !search.is_empty()).map(name_key);
        let mut people = self.0.store.users_page(search.as_deref(), after, PAGE + 1).await?;
        Ok(PeoplePage { next: pagination::cut(&mut people, |user| user.id), people })
    }

    pub async fn person(&self, caller: &Caller, id: UserId) -> Result<Option<PersonDetail>, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "look at a person").await?;
        let store = &self.0.store;
        let Some(user) = store.user(id).await? else { return Ok(None) };
        Ok(Some(PersonDetail {
            groups: store.groups_of(id, GROUPS_MAX).await?,
            sessions: self.live_sessions(id).await?.len(),
            owned: store.owned_by(id).await?,
            link_until: store.password_link_of(id, self.now()).await?,
            user,
        }))
    }

    /// The person of an e-mail address, however it is spelt.
    pub async fn person_of_email(&self, caller: &Caller, email: &str) -> Result<Option<User>, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "look at a person").await?;
        match Email::parse(email) {
            Ok(email) => Ok(self.0.store.user_of_email(&email).await?),
            Err(_) => Ok(None),
        }
    }

    /// Adds a user, with a password or with a link to choose one. The first user must be an administrator.
    pub async fn add_person(
        &self,
        caller: &Caller,
        raw: &RawPerson,
        password: Option<&SecretString>,
    ) -> Result<PersonAdded, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "add a person").await?;
        let parsed = match raw.parse() {
            Ok(parsed) => parsed,
            Err(errors) => return Ok(PersonAdded::Invalid(errors)),
        };
        if parsed.role != Role::Administrator && !self.has_users().await? {
            let error = FieldError::new("role", FormError::FirstIsAdministrator.say());
            return Ok(PersonAdded::Invalid(vec![error]));
        }
        let phc = match password {
            None => None,
            Some(password) => {
                match self.hash_new_password(password, vec![parsed.email.as_str().into(), parsed.name.as_str().into()]).await? {
                    NewHash::Made(phc) => Some(phc),
                    NewHash::Wrong(message) => return Ok(PersonAdded::Invalid(vec![FieldError::new("password", message)])),
                    NewHash::Busy => return Ok(PersonAdded::Busy),
                }
            }
        };
        let new = NewUser {
            id: self.new_id(),
            email: &parsed.email,
            name: &parsed.name,
            role: parsed.role,
            password: phc.as_deref(),
            created_at: self.now(),
        };
        let link = if phc.is_none() { Some(self.new_password_link(new.id)) } else { None };
        let audit = self
            .done(caller, AuditAction::AddUser, target(TargetKind::User, new.id, parsed.email.as_str()))
            .saying(format!("as {}", parsed.role.as_str()));
        match self.0.store.add_user(&new, link.as_ref().map(|(_, stored)| stored), &audit).await? {
            UserInsert::Inserted => {
                self.0.epoch.forget();
                Ok(PersonAdded::Added { id: new.id, link: link.map(|(link, _)| link) })
            }
            UserInsert::EmailTaken | UserInsert::NotTheFirst => Ok(PersonAdded::Invalid(vec![email_taken()])),
        }
    }

    /// Changes name, email address and role of a user, if they still have the expected version. If the user gains
    /// rights, their sessions end, so that they get the rights in a new session.
    pub async fn change_person(
        &self,
        caller: &Caller,
        id: UserId,
        version: i64,
        raw: &RawPerson,
    ) -> Result<PersonChanged, ServiceError> {
        self.require(caller, Permission::ManageAccounts, "change a person").await?;
        let Some(before) = self.0.store.user(id).await? else { return Ok(PersonChanged::NotFound) };
        let parsed = match raw.parse() {
            Ok(parsed) => parsed,
            Err(errors) => return Ok(PersonChanged::Invalid(errors)),
        };
        if before.version != version {
            return Ok(PersonChanged::Outdated);
        }
        let changes = changes(&before, &parsed);
        if changes.is_empty() {
            return Ok(PersonChanged::Changed { sessions_ended: false });
        }
        let ends_sessions = rises(before.role, parsed.role);
        let change = UserChange { id, version, email: &parsed.email, name: &parsed.name, role: parsed.role, ends_sessions };
        let audit =
            self.done(caller, AuditAction::ChangeUser, target(TargetKind::User, id, &before.email)).saying(changes.join("; "));
        Ok(match self.0.store.change_user(&change, &audit).await? {
            UserChanged::Changed => {
                self.0.epoch.forget();
                PersonChanged::Changed { sessions_ended: ends_sessions }
            }
            UserChanged::EmailTaken => PersonChanged::Invalid(vec![email_taken()]),
            UserChanged::LastAdministrator => {
                PersonChanged::Invalid(vec![FieldError::of("role", FormError::LastAdministrator, &[])])
            }
            UserChanged::Outdated => PersonChanged::Outdated,
        })
    }

    /// Gives a person another role and leaves the rest as it is.
    pub async fn set_role(&self, caller: &Caller, user: &User, role: &str) -> Result<PersonChanged, ServiceError> {
        let raw = RawPerson { email: user.email.clone(), name: user.name.clone(), role: role.to_owned() };
        self.change_person(caller, user.id, user.version, &raw).await
    }

    /// Disables a user: sessions, API keys and password links stop working, and stay invalid when the user is
    /// enabled again.
    pub async fn disable_person(&self, caller: &Caller, id: UserId) -> Result<PersonState, ServiceError> {
        let Some(person) = self.person_to_change(caller, id, "disable a person").await? else {
            return Ok(PersonState::NotFound);
        };
        let changed = self.0.store.disable_user(id, self.now(), &self.done(caller, AuditAction::DisableUser, person)).await?;
        self.0.epoch.forget();
        Ok(match changed {
            StateChange::Changed | StateChange::Unchanged => PersonState::Done,
            StateChange::LastAdministrator => PersonState::LastAdministrator,
        })
    }

    /// Enables a disabled user, who has to sign in again.
    pub async fn enable_person(&self, caller: &Caller, id: UserId) -> Result<PersonState, ServiceError> {
        let Some(person) = self.person_to_change(caller, id, "enable a person").await? else {
            return Ok(PersonState::NotFound);
        };
        self.0.store.enable_user(id, &self.done(caller, AuditAction::EnableUser, person)).await?;
        self.0.epoch.forget();
        Ok(PersonState::Done)
    }

    /// Turns off the second factor of a user who lost it. False if there is no such user.
    pub async fn take_second_factor_from(&self, caller: &Caller, id: UserId) -> Result<bool, ServiceError> {
        let Some(person) = self.person_to_change(caller, id, "turn off two-step verification").await? else { return Ok(false) };
        let audit = self.done(caller, AuditAction::DisableSecondFactor, person).saying("turned off by an administrator");
        self.0.store.take_second_factor(id, &audit).await?;
        self.0.epoch.forget();
        Ok(true)
    }

    /// Ends all sessions of a user. False if there is no such user.
    pub async fn end_sessions_of(&self, caller: &Caller, id: UserId) -> Result<bool, ServiceError> {
        let Some(person) = self.person_to_change(caller, id, "end the sessions of a person").await? else { return Ok(false) };
        let audit = self.done(caller, AuditAction::EndSession, person).saying("all, by an administrator");
        self.0.store.end_all_sessions(id, &audit).await?;
        self.0.epoch.forget();
        Ok(true)
    }

    /// The user as a target of the audit trail, if the caller may change users.
    pub(in crate::service) async fn person_to_change(
        &self,
        caller: &Caller,
        id: UserId,
        wanted: &str,
    ) -> Result<Option<Option<AuditTarget>>, ServiceError> {
        self.require(caller, Permission::ManageAccounts, wanted).await?;
        Ok(self.0.store.user(id).await?.map(|user| target(TargetKind::User, id, user.email)))
    }
}

/// True if the new role gives a right that the old one doesn't.
fn rises(before: Role, now: Role) -> bool {
    Permission::ALL.into_iter().any(|permission| now.may(permission) && !before.may(permission))
}

/// What a change changes, in words.
fn changes(before: &User, now: &ParsedPerson) -> Vec<String> {
    let mut changes = Vec::new();
    if before.role != now.role {
        changes.push(format!("role from {} to {}", before.role.as_str(), now.role.as_str()));
    }
    if before.email != now.email.as_str() {
        changes.push(format!("email address to {}", now.email.as_str()));
    }
    if before.name != now.name.as_str() {
        changes.push(format!("name from {} to {}", before.name, now.name.as_str()));
    }
    changes
}

fn email_taken() -> FieldError {
    FieldError::new("email", FormError::EmailTaken.say())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_rise_only_upwards() {
        for (at, before) in Role::ALL.into_iter().enumerate() {
            for (to, now) in Role::ALL.into_iter().enumerate() {
                assert_eq!(rises(before, now), to < at, "{before:?} {now:?}");
            }
        }
    }
}
