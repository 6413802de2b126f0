//! Who may do what: the one table of rights by role. What somebody may do with one credential depends on its
//! owner and on how it is shared as well; that is [`Access`].

use crate::domain::users::Role;

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Sees tiles and resources that are theirs to see, the catalogue, and their own account.
    Look,
    /// Creates, changes, previews and deletes resources, choosing a tile that may be used.
    MakeResources,
    /// Adds credentials; sees the fields of, tests, shares and deletes those that may be managed.
    MakeCredentials,
    /// Adds, changes and disables accounts and groups; hands over what one person owns.
    ManageAccounts,
    /// Makes and revokes API keys.
    ManageKeys,
    /// Reads the audit trail.
    ReadAudit,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Look, Self::MakeResources, Self::MakeCredentials, Self::ManageAccounts, Self::ManageKeys, Self::ReadAudit];

    /// The least role that has it: each role has what the roles below it have.
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
    /// Whether this role has a permission.
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

    /// How far somebody of this role can go with a credential that is shared as `granted`: nobody below an
    /// editor manages one, not even their own.
    pub const fn limits(self, granted: Access) -> Access {
        if self.may(Permission::MakeCredentials) { granted } else { Access::Use }
    }
}

/// What somebody may do with one credential. Without any access, there is no such credential for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// See its tile and let resources use it.
    Use,
    /// See its fields without the secret ones, test it, share it, delete it.
    Manage,
}

impl Access {
    /// The word that is stored and typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Manage => "manage",
        }
    }

    /// The access of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Use, Self::Manage].into_iter().find(|access| access.as_str() == word)
    }
}

/// Whether a credential can be used by everybody or only by its owner and those it is shared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Only by its owner, and by the people and groups it is shared with.
    Private,
    /// Everybody with an account may use it.
    Everyone,
}

impl Sharing {
    /// The word that is stored and typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Everyone => "everyone",
        }
    }

    /// The sharing of a word.
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
