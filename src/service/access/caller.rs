//! The caller of a use case: who it is, and where the call comes from. Every use case takes a [`Caller`] and checks
//! its permissions; nothing above `service` decides who may do what.

use std::sync::Arc;

use crate::domain::{
    access::permission::Permission,
    api_keys::{ApiKeyId, Scopes},
    audit::{AuditActor, event::ActorKind},
    resources::ResourceId,
    users::{Role, UserId},
};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
}

/// An API client, identified by its API key. It acts as a user, limited to the scopes of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyIdentity {
    pub id: ApiKeyId,
    pub name: String,
    /// The user that the key acts as.
    pub owner: Person,
    /// What the key may do, at most what the owner may.
    pub scopes: Scopes,
    /// The resources that the key is limited to, sorted by id; `None` for no limit.
    pub resources: Option<Vec<ResourceId>>,
}

impl KeyIdentity {
    /// True if the key is for this resource. Whether the owner may use it is a separate check.
    pub fn reaches(&self, resource: ResourceId) -> bool {
        self.resources.as_ref().is_none_or(|resources| resources.binary_search(&resource).is_ok())
    }

    fn may(&self, permission: Permission) -> bool {
        // Administrator permissions affect everything, so a key that is limited to some resources doesn't have
        // them: it could create another key without the limit.
        let beyond = self.resources.is_some() && permission.least_role() == Role::Administrator;
        self.owner.role.may(permission) && self.scopes.permit(permission) && !beyond
    }

    /// The owner's role, lowered to what the scopes of the key cover.
    fn role(&self) -> Role {
        let least = |permission: Permission| self.may(permission).then(|| permission.least_role());
        let highest = Permission::ALL.into_iter().rev().find_map(least);
        highest.unwrap_or(Role::Viewer)
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A user who is signed in.
    Person(Person),
    /// An API client. Shared, because a key is checked with every request.
    Key(Arc<KeyIdentity>),
    /// A command on the server, by its name.
    Server(&'static str),
    /// Someone who isn't signed in, with the name that they gave, if any.
    Nobody(String),
}

/// Where a call comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The network address, or an empty string for a command on the server.
    pub address: String,
    /// The request id, or an empty string.
    pub request: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub who: Who,
    pub origin: Origin,
}

impl Caller {
    pub const fn person(person: Person, origin: Origin) -> Self {
        Self { who: Who::Person(person), origin }
    }

    /// An API client whose key was checked.
    pub const fn key(key: Arc<KeyIdentity>, origin: Origin) -> Self {
        Self { who: Who::Key(key), origin }
    }

    /// A command on the server. Its user has the database and the keyring, so every permission is granted.
    pub fn server(command: &'static str) -> Self {
        Self { who: Who::Server(command), origin: Origin::default() }
    }

    pub fn nobody(name: impl Into<String>, origin: Origin) -> Self {
        Self { who: Who::Nobody(name.into()), origin }
    }

    /// The user, if there is one; for an API key, its owner.
    pub fn user(&self) -> Option<UserId> {
        match &self.who {
            Who::Person(person) => Some(person.id),
            Who::Key(key) => Some(key.owner.id),
            Who::Server(_) | Who::Nobody(_) => None,
        }
    }

    /// The API key, if the caller has one.
    pub fn key_id(&self) -> Option<ApiKeyId> {
        match &self.who {
            Who::Key(key) => Some(key.id),
            Who::Person(_) | Who::Server(_) | Who::Nobody(_) => None,
        }
    }

    /// The role, if there is a user. For an API key it is the lowest role that covers its scopes, and is meant for
    /// limits only; permissions are checked with [`Self::may`].
    pub fn role(&self) -> Option<Role> {
        match &self.who {
            Who::Person(person) => Some(person.role),
            Who::Key(key) => Some(key.role()),
            Who::Server(_) | Who::Nobody(_) => None,
        }
    }

    pub fn may(&self, permission: Permission) -> bool {
        match &self.who {
            Who::Person(person) => person.role.may(permission),
            Who::Key(key) => key.may(permission),
            Who::Server(_) => true,
            Who::Nobody(_) => false,
        }
    }

    /// True if a resource is among those that the caller is limited to. Only API keys have such a limit; whether
    /// the caller may see the resource is a separate check.
    pub fn reaches(&self, resource: ResourceId) -> bool {
        match &self.who {
            Who::Key(key) => key.reaches(resource),
            Who::Person(_) | Who::Server(_) | Who::Nobody(_) => true,
        }
    }

    /// The resources that the caller is limited to, sorted by id; `None` for no limit.
    pub(in crate::service) fn resources(&self) -> Option<&[ResourceId]> {
        match &self.who {
            Who::Key(key) => key.resources.as_deref(),
            Who::Person(_) | Who::Server(_) | Who::Nobody(_) => None,
        }
    }

    /// The caller as the actor in the audit trail.
    pub(in crate::service) fn actor(&self) -> AuditActor {
        let (kind, name) = match &self.who {
            Who::Person(person) => (ActorKind::Person, person.email.clone()),
            Who::Key(key) => (ActorKind::ApiKey, key.name.clone()),
            Who::Server(command) => (ActorKind::Server, (*command).to_owned()),
            Who::Nobody(name) => (ActorKind::Nobody, name.clone()),
        };
        AuditActor { kind, id: self.user(), name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn caller(role: Role, scopes: &str, resources: Option<Vec<Uuid>>) -> Caller {
        let owner = Person { id: Uuid::from_u128(7), email: "ana@example.com".into(), name: "Ana".into(), role };
        let scopes = Scopes::parse(scopes).unwrap();
        let key = KeyIdentity { id: Uuid::from_u128(8), name: "Exports".into(), owner, scopes, resources };
        Caller::key(Arc::new(key), Origin::default())
    }

    fn rights(caller: &Caller) -> Vec<Permission> {
        Permission::ALL.into_iter().filter(|permission| caller.may(*permission)).collect()
    }

    #[test]
    fn a_key_may_what_its_owner_and_its_scopes_allow() {
        use Permission::{Look, MakeCredentials, MakeResources};
        assert_eq!(rights(&caller(Role::Administrator, "admin", None)), Permission::ALL);
        assert_eq!(rights(&caller(Role::Editor, "admin", None)), [Look, MakeResources, MakeCredentials]);
        assert_eq!(rights(&caller(Role::Viewer, "admin credentials:manage", None)), [Look]);
        assert_eq!(rights(&caller(Role::Administrator, "credentials:manage", None)), [MakeCredentials]);
        assert_eq!(rights(&caller(Role::Operator, "credentials:manage", None)), []);
        assert_eq!(rights(&caller(Role::Administrator, "resources:read", None)), [Look]);
        assert_eq!(rights(&caller(Role::Administrator, "proxy tokens:issue", None)), []);
    }

    #[test]
    fn the_role_of_a_key_is_no_more_than_it_needs() {
        assert_eq!(caller(Role::Administrator, "admin", None).role(), Some(Role::Administrator));
        assert_eq!(caller(Role::Administrator, "credentials:manage proxy", None).role(), Some(Role::Editor));
        assert_eq!(caller(Role::Administrator, "resources:read", None).role(), Some(Role::Viewer));
        assert_eq!(caller(Role::Operator, "credentials:manage", None).role(), Some(Role::Viewer));
        assert_eq!(caller(Role::Operator, "admin", None).role(), Some(Role::Operator));
    }

    #[test]
    fn a_key_for_some_resources_reaches_no_others_and_administers_nothing() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let limited = caller(Role::Administrator, "admin", Some(vec![one]));
        assert!(limited.reaches(one) && !limited.reaches(other));
        let rest = [Permission::Look, Permission::MakeResources, Permission::MakeCredentials];
        assert_eq!(rights(&limited), rest);
        assert_eq!(limited.role(), Some(Role::Editor));
        assert!(!caller(Role::Editor, "proxy", Some(Vec::new())).reaches(one), "all of its resources were deleted");
        assert!(caller(Role::Editor, "proxy", None).reaches(one));
    }

    #[test]
    fn the_audit_trail_names_the_key_and_its_owner() {
        let caller = caller(Role::Viewer, "proxy", None);
        let actor = AuditActor { kind: ActorKind::ApiKey, id: Some(Uuid::from_u128(7)), name: "Exports".into() };
        assert_eq!((caller.actor(), caller.user()), (actor, Some(Uuid::from_u128(7))));
    }
}
