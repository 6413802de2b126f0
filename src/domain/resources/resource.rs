//! A resource: a data source or data destination. It uses one credential to call one endpoint.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{credentials::CredentialId, form_errors::FormError, ids::ConnectorId, naming::is_unseen, time::Timestamp};

/// UUID version 7, so ids sort by age.
pub type ResourceId = Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// Data is read from it.
    Source,
    /// Data is written to it.
    Destination,
}

impl ResourceKind {
    pub const ALL: [Self; 2] = [Self::Source, Self::Destination];

    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }

    /// The name in URLs.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Destination => "destinations",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    pub fn parse_plural(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == word)
    }
}

/// The methods that a resource may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Reading first.
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Ignores case and surrounding blanks.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name.trim()))
    }

    /// True if a request with it changes nothing at the service (RFC 9110 section 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get)
    }
}

/// The path of an endpoint: begins with one `/`, can't leave the API's base URL, has no query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiPath(String);

impl ApiPath {
    /// Parses what a person typed. The error is a sentence for that person.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let path = typed.trim();
        if path.is_empty() {
            return Err(FormError::PathMissing.say());
        }
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(FormError::PathStart.say());
        }
        if path.len() > 1_000 {
            return Err(FormError::PathTooLong.say());
        }
        if path.contains(['?', '#']) {
            return Err(FormError::PathWithQuery.say());
        }
        if path.contains('\\') || path.chars().any(|c| is_unseen(c) || c.is_whitespace()) {
            return Err(FormError::PathWithSpace.say());
        }
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        if decoded.split(['/', '\\']).any(|segment| segment == "." || segment == "..") {
            return Err(FormError::PathWithDots.say());
        }
        Ok(Self(path.to_owned()))
    }

    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Begins with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ApiPath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::parse(&path)
    }
}

impl From<ApiPath> for String {
    fn from(path: ApiPath) -> Self {
        path.0
    }
}

/// What a resource calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub method: Method,
    /// Below the API's base URL.
    pub path: ApiPath,
    /// Names and values, not encoded, in the order in which they are sent.
    pub query: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub id: ResourceId,
    pub kind: ResourceKind,
    /// Unique among resources of the same kind, ignoring case.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The connector it was created with.
    pub connector: ConnectorId,
    pub credential: CredentialId,
    pub endpoint: Endpoint,
    pub created_at: Timestamp,
    /// Increases by one with every change; starts at 1.
    pub version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceDelete {
    Deleted,
    /// It was changed since the version that the user saw.
    Outdated,
    /// There is no such resource that this user may change.
    NotFound,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_leave_the_api_are_refused() {
        for path in ["/users", "/users/1/calls", "/a%20b", "/a..b/c"] {
            assert_eq!(ApiPath::parse(path).unwrap().as_str(), path);
        }
        for path in [
            "",
            "users",
            "//evil.example",
            "/a/../b",
            "/a/%2e%2E/b",
            "/a/%2e%2e%2fb",
            "/a?b=c",
            "/a#b",
            "/a b",
            "/a\\..\\b",
            "/a\nb",
        ] {
            assert!(ApiPath::parse(path).is_err(), "{path}");
        }
    }
}
