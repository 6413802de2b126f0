//! The roles that groups of a single sign-on provider give to their members.

use std::{fmt, str::FromStr};

use crate::domain::users::Role;

/// Gives every member of a provider's group a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRole {
    /// Case-sensitive, exactly as the provider names it.
    pub group: String,
    pub role: Role,
}

impl FromStr for GroupRole {
    type Err = String;

    /// Reads `GROUP=ROLE`. The last `=` separates the two, because group names can contain one.
    fn from_str(text: &str) -> Result<Self, String> {
        let (group, role) = text.rsplit_once('=').ok_or("expected GROUP=ROLE, such as keytile-admins=administrator")?;
        let group = group.trim();
        if group.is_empty() {
            return Err("expected the name of a group before the =".into());
        }
        Ok(Self { group: group.to_owned(), role: role_of_word(role.trim())? })
    }
}

impl fmt::Display for GroupRole {
    /// Writes the form that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.group, self.role.as_str())
    }
}

/// Parses a role. The error is a sentence that lists the valid ones.
pub fn role_of_word(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| {
        let roles = Role::ALL.map(Role::as_str).join(", ");
        format!("there is no role `{word}`; the roles are {roles}")
    })
}

#[derive(Debug, Clone, Default)]
pub struct RoleRules {
    /// Empty when groups don't decide roles; roles are then given in Keytile.
    pub by_group: Vec<GroupRole>,
    /// For people in none of these groups. `None` refuses their sign-in.
    pub default: Option<Role>,
}

impl RoleRules {
    /// Whether the provider sets the role at every sign-in. Otherwise it sets only the role of a new user.
    pub fn decide(&self) -> bool {
        !self.by_group.is_empty()
    }

    /// The highest role that these groups give, or the default.
    pub fn role_of(&self, groups: &[String]) -> Option<Role> {
        let gives = |role: &Role| self.by_group.iter().any(|rule| rule.role == *role && groups.contains(&rule.group));
        Role::ALL.into_iter().find(gives).or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> GroupRole {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_is_read_and_its_group_may_hold_an_equals_sign() {
        assert_eq!(rule("staff=viewer"), GroupRole { group: "staff".into(), role: Role::Viewer });
        assert_eq!(rule(" /ops = administrator "), GroupRole { group: "/ops".into(), role: Role::Administrator });
        assert_eq!(rule("cn=staff=editor").group, "cn=staff");
        assert_eq!(rule(" /ops = administrator ").to_string(), "/ops=administrator");
        for (wrong, said) in [("staff", "GROUP=ROLE"), ("=viewer", "name of a group"), ("staff=root", "administrator, editor")] {
            let error = wrong.parse::<GroupRole>().unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_highest_role_wins_in_whatever_order_the_rules_stand() {
        let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut rules = RoleRules { by_group: vec![rule("a=viewer"), rule("b=editor"), rule("c=operator")], default: None };
        for _ in 0..2 {
            assert_eq!(rules.role_of(&groups(&["a", "b", "c"])), Some(Role::Editor));
            assert_eq!(rules.role_of(&groups(&["c", "a", "x"])), Some(Role::Operator));
            assert_eq!(rules.role_of(&groups(&["A", "x"])), None, "groups are compared letter by letter");
            rules.by_group.reverse();
        }
        rules.default = Some(Role::Viewer);
        assert_eq!(rules.role_of(&[]), Some(Role::Viewer));
        assert_eq!(rules.role_of(&groups(&["b"])), Some(Role::Editor));
        assert!(rules.decide() && !RoleRules::default().decide());
    }
}
