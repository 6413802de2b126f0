//! A resource: a data source or a data destination. It uses one credential to call one endpoint.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{credentials::CredentialId, form_errors::FormError, ids::ConnectorId, naming::is_unseen, time::Timestamp};

/// Identifies a resource (UUID version 7).
pub type ResourceId = Uuid;

/// Whether data comes from a resource or goes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// Data is read from it.
    Source,
    /// Data is written to it.
    Destination,
}

impl ResourceKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Source, Self::Destination];

    /// The word that is stored: `source` or `destination`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }

    /// The word in addresses: `sources` or `destinations`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Destination => "destinations",
        }
    }

    /// The kind that a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The kind that a word in an address stands for.
    pub fn parse_plural(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == word)
    }
}

/// The methods that a resource may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of RFC 9110 section 9.3 and RFC 5789")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Every method, reading first.
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The method's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The method of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name.trim()))
    }

    /// True when a request with it changes nothing at the service (RFC 9110 section 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get)
    }
}

/// A path of an API: begins with one `/`, stays below the API's base URL, has no query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiPath(String);

impl ApiPath {
    /// Reads a path as a person typed it. The error is a sentence for that person.
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

    /// The root of the API.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path, beginning with `/`.
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

/// What a resource calls: method, path and query parameters, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path below the API's base URL.
    pub path: ApiPath,
    /// Query parameters as name and value, not encoded.
    pub query: Vec<(String, String)>,
}

/// A stored resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Source or destination.
    pub kind: ResourceKind,
    /// Its name, unique for its kind without regard to case.
    pub name: String,
    /// Its description, or an empty text.
    pub description: String,
    /// The connector it was made with.
    pub connector: ConnectorId,
    /// The credential it uses.
    pub credential: CredentialId,
    /// What it calls.
    pub endpoint: Endpoint,
    /// When it was created.
    pub created_at: Timestamp,
    /// Grows by one with every change; starts at 1.
    pub version: i64,
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
