//! An API key as pages show it.

use std::fmt;

use super::relative_time::Age;
use crate::{
    domain::{access::permission::Permission, api_keys::Scope, time::Timestamp, users::Role},
    service::api_keys::{KeyState, KeySummary},
};

pub(crate) struct KeyView<'a> {
    pub(crate) key: &'a KeySummary,
    pub(crate) scopes: Vec<ScopeView>,
    pub(crate) created: Age,
    pub(crate) expires: Option<Moment>,
    pub(crate) used: Option<Age>,
    /// The label of the state, and its CSS class.
    pub(crate) state: (&'static str, &'static str),
    pub(crate) revoked: Option<Age>,
}

impl<'a> KeyView<'a> {
    pub(crate) fn new(key: &'a KeySummary, now: Timestamp) -> Self {
        let state = match key.state {
            KeyState::Active => ("Active", "verified"),
            KeyState::Revoked(_) => ("Revoked", "rejected"),
            KeyState::Expired => ("Expired", "rejected"),
            KeyState::OwnerDisabled => ("Account disabled", "rejected"),
        };
        let revoked = match key.state {
            KeyState::Revoked(at) => Some(Age::of(at, now)),
            KeyState::Active | KeyState::Expired | KeyState::OwnerDisabled => None,
        };
        Self {
            key,
            scopes: key.scopes.iter().map(|scope| ScopeView::new(scope, Some(key.owner.role))).collect(),
            created: Age::of(key.created_at, now),
            expires: key.expires_at.map(Moment),
            used: key.last_used_at.map(|at| Age::of(at, now)),
            state,
            revoked,
        }
    }

    /// True if it isn't revoked yet.
    pub(crate) fn is_revocable(&self) -> bool {
        self.revoked.is_none()
    }
}

pub(crate) struct ScopeView {
    pub(crate) word: &'static str,
    /// What it allows, as a sentence.
    pub(crate) sentence: &'static str,
    /// A note, if the owner may do less than the scope allows.
    pub(crate) limit: Option<&'static str>,
}

impl ScopeView {
    /// The view of a scope, for a key whose owner has this role.
    pub(crate) fn new(scope: Scope, owner: Option<Role>) -> Self {
        let limit = match (scope, owner) {
            (Scope::CredentialsManage, Some(role)) if !role.may(Permission::MakeCredentials) => {
                Some("No effect, because the account's role doesn't allow it.")
            }
            (Scope::Admin, Some(role)) if role != Role::Administrator => Some("Only as far as the account's role allows."),
            _ => None,
        };
        Self { word: scope.as_str(), sentence: scope.sentence(), limit }
    }
}

/// A time that may be in the future, shown to the minute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0.as_millis()) {
            Ok(point) => write!(f, "{}", point.strftime("%-d %b %Y, %H:%M UTC")),
            Err(_) => f.write_str("far in the future"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_minute() {
        assert_eq!(Moment(Timestamp::from_millis(1_798_761_600_000)).to_string(), "1 Jan 2027, 00:00 UTC");
        assert_eq!(Moment(Timestamp::from_millis(i64::MAX)).to_string(), "far in the future");
    }

    #[test]
    fn a_scope_that_the_role_does_not_reach_says_so() {
        let limited = |scope, role| ScopeView::new(scope, Some(role)).limit.is_some();
        assert!(limited(Scope::CredentialsManage, Role::Operator) && !limited(Scope::CredentialsManage, Role::Editor));
        assert!(limited(Scope::Admin, Role::Editor) && !limited(Scope::Admin, Role::Administrator));
        assert!(!limited(Scope::ResourcesRead, Role::Viewer));
    }
}
