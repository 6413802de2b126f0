//! Who may do what: the one table that maps permissions to roles.
//!
//! What someone may do with a particular credential also depends on its owner and on how it's shared; that is
//! [`Access`].

use crate::domain::users::Role;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See tiles and resources that are visible to them, the catalogue, and their own account.
    Look,
    /// Create, change, preview and delete resources, choosing a credential they may use.
    MakeResources,
    /// Add credentials. See the fields of, test, share and delete those they may manage.
    MakeCredentials,
    /// Add, change and disable users and groups, and transfer ownership of everything one person owns.
    ManageAccounts,
    ManageKeys,
    ReadAudit,
}

impl Permission {
    pub const ALL: [Self; 6] =
        [Self::Look, Self::MakeResources, Self::MakeCredentials, Self::ManageAccounts, Self::ManageKeys, Self::ReadAudit];

    /// The lowest role that has it. Each role includes the permissions of the roles below it.
    pub const fn least_role(self) -> Role {
        match self {
            Self::Look => Role::Viewer,
            Self::MakeResources => Role::Operator,
            Self::MakeCredentials => Role::Editor,
            Self::ManageAccounts | Self::ManageKeys | Self::ReadAudit => Role::Administrator,
        }
    }
}

impl Role {
    pub const fn may(self, permission: Permission) -> bool {
        self.rank() >= permission.least_role().rank()
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Viewer => 0,
            Self::Operator => 1,
            Self::Editor => 2,
            Self::Administrator => 3,
        }
    }

    /// The access that someone with this role really has to a credential shared as `granted`. Roles below
    /// editor can't manage any credential, even one they own.
    pub const fn limits(self, granted: Access) -> Access {
        if self.may(Permission::MakeCredentials) { granted } else { Access::Use }
    }
}

/// What someone may do with one credential. To people without access, the credential doesn't exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// See its tile and let resources use it.
    Use,
    /// See its fields except secrets, test it, share it and delete it.
    Manage,
}

impl Access {
    /// The value stored in the database and used in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Manage => "manage",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Use, Self::Manage].into_iter().find(|access| access.as_str() == word)
    }
}

/// Whether everyone may use a credential, or only its owner and the people it's shared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Only the owner, and the people and groups it's shared with.
    Private,
    /// Everyone with an account may use it.
    Everyone,
}

impl Sharing {
    /// The value stored in the database and used in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Everyone => "everyone",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Private, Self::Everyone].into_iter().find(|sharing| sharing.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_what_the_roles_below_it_have() {
        for pair in Role::ALL.windows(2) {
            for permission in Permission::ALL {
                assert!(pair[0].may(permission) || !pair[1].may(permission), "{pair:?} {permission:?}");
            }
        }
        let rights = |role: Role| Permission::ALL.into_iter().filter(|permission| role.may(*permission)).count();
        assert_eq!(Role::ALL.map(rights), [6, 3, 2, 1]);
    }

    #[test]
    fn nobody_below_an_editor_manages_a_credential() {
        assert_eq!(Role::Editor.limits(Access::Manage), Access::Manage);
        assert_eq!(Role::Editor.limits(Access::Use), Access::Use);
        assert_eq!(Role::Operator.limits(Access::Manage), Access::Use);
        assert_eq!(Role::Viewer.limits(Access::Manage), Access::Use);
    }
}
