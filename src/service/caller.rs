//! Who calls a use case, and from where. Every use case takes a [`Caller`] and decides by it; nothing above
//! `service` decides who may do what.

use crate::domain::{
    account::{Role, UserId},
    audit::{ActorKind, AuditActor},
    permission::Permission,
};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The name of the person.
    pub name: String,
    /// Its role.
    pub role: Role,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Somebody who is signed in.
    Person(Person),
    /// A command on the server, by its name.
    Server(&'static str),
    /// Somebody who is not signed in; the name is what they called themselves, if anything.
    Nobody(String),
}

/// Where a call comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The network address, or an empty text for a command on the server.
    pub address: String,
    /// The id of the request, or an empty text.
    pub request: String,
}

/// Who calls, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub who: Who,
    /// From where.
    pub origin: Origin,
}

impl Caller {
    /// Somebody who is signed in.
    pub const fn person(person: Person, origin: Origin) -> Self {
        Self { who: Who::Person(person), origin }
    }

    /// A command on the server. Whoever runs it has the database and the keyring, and may do everything.
    pub fn server(command: &'static str) -> Self {
        Self { who: Who::Server(command), origin: Origin::default() }
    }

    /// Somebody who is not signed in.
    pub fn nobody(name: impl Into<String>, origin: Origin) -> Self {
        Self { who: Who::Nobody(name.into()), origin }
    }

    /// The account, if there is one.
    pub const fn user(&self) -> Option<UserId> {
        match &self.who {
            Who::Person(person) => Some(person.id),
            Who::Server(_) | Who::Nobody(_) => None,
        }
    }

    /// The role, if there is an account.
    pub const fn role(&self) -> Option<Role> {
        match &self.who {
            Who::Person(person) => Some(person.role),
            Who::Server(_) | Who::Nobody(_) => None,
        }
    }

    /// Whether the caller has a permission.
    pub fn may(&self, permission: Permission) -> bool {
        match &self.who {
            Who::Person(person) => person.role.may(permission),
            Who::Server(_) => true,
            Who::Nobody(_) => false,
        }
    }

    /// The caller as the audit trail names it.
    pub(super) fn actor(&self) -> AuditActor {
        let (kind, name) = match &self.who {
            Who::Person(person) => (ActorKind::Person, person.email.clone()),
            Who::Server(command) => (ActorKind::Server, (*command).to_owned()),
            Who::Nobody(name) => (ActorKind::Nobody, name.clone()),
        };
        AuditActor { kind, id: self.user(), name }
    }
}
