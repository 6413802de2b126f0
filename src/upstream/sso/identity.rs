//! A person's identity, from the claims of an ID token and of the userinfo endpoint.

use std::{collections::BTreeMap, fmt};

use openidconnect::{
    AdditionalClaims, EndUserEmail, EndUserName, IdTokenClaims, LocalizedClaim, UserInfoClaims, core::CoreGenderClaim,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A person, as the provider vouches for them. Issuer and subject together never change and are never
/// given to somebody else (OpenID Connect Core section 5.7); all else may change with every sign-in, and is
/// text of another server that nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The provider's identifier, exactly as it writes it.
    pub issuer: String,
    /// The person's id at the provider.
    pub subject: String,
    pub email: Option<String>,
    /// True if the provider says that the address belongs to the person. Otherwise it must not be used to identify
    /// them.
    pub email_verified: bool,
    /// The name to show.
    pub name: Option<String>,
    /// The person's groups, sorted, without duplicates.
    pub groups: Vec<String>,
}

impl fmt::Display for ExternalIdentity {
    /// Shows issuer and subject only, so that logs and the audit trail identify the person by what can't change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.subject, self.issuer)
    }
}

/// The claims that are not among the standard ones.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::upstream) struct OtherClaims {
    #[serde(flatten)]
    claims: BTreeMap<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

pub(in crate::upstream) type Claims = IdTokenClaims<OtherClaims, CoreGenderClaim>;

/// What one source says of a person.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Said {
    email: Option<String>,
    email_verified: bool,
    name: Option<String>,
    /// `None` if the claim is missing, which is different from no groups.
    groups: Option<Vec<String>>,
}

impl Said {
    pub(in crate::upstream) fn in_id_token(claims: &Claims, groups_claim: &str) -> Self {
        Self::new(claims.email(), claims.email_verified(), claims.name(), claims.additional_claims(), groups_claim)
    }

    pub(in crate::upstream) fn in_user_info(claims: &UserInfoClaims<OtherClaims, CoreGenderClaim>, groups_claim: &str) -> Self {
        Self::new(claims.email(), claims.email_verified(), claims.name(), claims.additional_claims(), groups_claim)
    }

    fn new(
        email: Option<&EndUserEmail>,
        email_verified: Option<bool>,
        name: Option<&LocalizedClaim<EndUserName>>,
        others: &OtherClaims,
        groups_claim: &str,
    ) -> Self {
        let email = email.map(|email| email.trim().to_owned()).filter(|email| !email.is_empty());
        let name = name.and_then(|name| name.get(None)).map(|name| name.trim().to_owned());
        Self {
            email_verified: email.is_some() && email_verified == Some(true),
            email,
            name: name.filter(|name| !name.is_empty()),
            groups: others.claim(groups_claim).and_then(groups),
        }
    }

    /// True if the userinfo endpoint has nothing to add.
    pub(in crate::upstream) fn is_complete(&self, groups_claim: &str) -> bool {
        self.email.is_some() && (self.groups.is_some() || groups_claim.is_empty())
    }

    /// Fills what this source doesn't say from another.
    pub(in crate::upstream) fn or(self, other: Self) -> Self {
        // Whether an address is verified is only true of that address.
        let (email, email_verified) = match self.email {
            Some(email) => {
                let verified = self.email_verified || (other.email_verified && other.email.as_ref() == Some(&email));
                (Some(email), verified)
            }
            None => (other.email, other.email_verified),
        };
        Self { email, email_verified, name: self.name.or(other.name), groups: self.groups.or(other.groups) }
    }

    pub(in crate::upstream) fn into_identity(self, issuer: &str, subject: &str) -> ExternalIdentity {
        let mut groups = self.groups.unwrap_or_default();
        groups.sort();
        groups.dedup();
        ExternalIdentity {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            email: self.email,
            email_verified: self.email_verified,
            name: self.name,
            groups,
        }
    }
}

impl OtherClaims {
    /// The claim with this name. Names with dots exist, so the whole name is tried first.
    fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name).or_else(|| {
            let mut parts = name.split('.');
            let first = self.claims.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))
        })
    }
}

/// The groups in a claim: a list of strings, or one string. Any other value doesn't count as "no groups".
fn groups(claim: &Value) -> Option<Vec<String>> {
    match claim {
        Value::String(group) => Some(vec![group.clone()]),
        Value::Array(groups) => Some(groups.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(email: Option<&str>, email_verified: bool, groups: Option<&[&str]>) -> Said {
        let groups = groups.map(|groups| groups.iter().map(|group| (*group).to_owned()).collect());
        Said { email: email.map(str::to_owned), email_verified, name: None, groups }
    }

    #[test]
    fn groups_are_found_by_whole_name_or_by_path() {
        let claims: OtherClaims = serde_json::from_value(json!({
            "groups": ["b", "a", 3, "a"], "role": "admin", "a.b": ["whole"], "a": {"b": ["path"]},
            "realm_access": {"roles": ["x"]}, "odd": {"c": 1},
        }))
        .unwrap();
        let found = |name: &str| claims.claim(name).and_then(groups);
        assert_eq!(found("groups").unwrap(), ["b", "a", "a"]);
        assert_eq!(found("role").unwrap(), ["admin"]);
        assert_eq!(found("a.b").unwrap(), ["whole"]);
        assert_eq!(found("realm_access.roles").unwrap(), ["x"]);
        for missing in ["", ".", "none", "odd", "odd.c", "odd.c.d", "groups.0", "role.x"] {
            assert_eq!(found(missing), None, "{missing}");
        }
        let person = Said { groups: found("groups"), ..Said::default() }.into_identity("i", "s");
        assert_eq!(person.groups, ["a", "b"]);
    }

    #[test]
    fn an_address_is_verified_only_by_who_says_so_of_this_address() {
        let merged = said(Some("a@x.example"), false, None).or(said(Some("b@x.example"), true, Some(&["g"])));
        assert_eq!((merged.email.as_deref(), merged.email_verified), (Some("a@x.example"), false));
        assert_eq!(merged.groups.unwrap(), ["g"]);
        assert!(said(Some("a@x.example"), false, None).or(said(Some("a@x.example"), true, None)).email_verified);
        assert!(said(None, false, Some(&[])).or(said(Some("b@x.example"), true, Some(&["g"]))).email_verified);
    }

    #[test]
    fn an_empty_list_of_groups_is_an_answer() {
        assert!(said(Some("a@x.example"), true, Some(&[])).is_complete("groups"));
        assert!(said(Some("a@x.example"), true, None).is_complete(""));
        assert!(!said(Some("a@x.example"), true, None).is_complete("groups"));
        assert!(!said(None, false, Some(&["g"])).is_complete("groups"));
        let merged = said(None, false, Some(&[])).or(said(None, false, Some(&["g"])));
        assert!(merged.groups.unwrap().is_empty());
    }
}
