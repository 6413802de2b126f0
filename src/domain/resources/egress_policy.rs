//! The egress policy of a resource: which requests may be sent to its service with its credential.
//!
//! The policy applies to every user and API key alike; it doesn't say who may use the resource.

use serde::{Deserialize, Serialize};

use super::{ApiPath, Method, ResourceKind, request_path::RequestPath};
use crate::domain::credentials::form::FieldError;

/// The most path prefixes in one policy.
pub const PREFIXES_MAX: usize = 20;
/// The most retries of one request.
pub const RETRIES_MAX: u8 = 5;
/// The highest limit for a body: 1 TiB, in MiB.
pub const BODY_MIB_MAX: u64 = 1_048_576;
/// The highest limit for requests per minute.
pub const PER_MINUTE_MAX: u32 = 1_000_000;

/// The default limit for a source, in bytes: enough for a query that is too long for a URL.
const SOURCE_BODY: u64 = 1 << 20;
/// The default limit for a destination, in bytes.
const DESTINATION_BODY: u64 = 100 << 20;

/// The egress policy: what the requests of a resource may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressPolicy {
    /// The methods. `HEAD` goes with `GET`: it asks for less of the same.
    pub methods: Vec<Method>,
    /// Paths below the API's base URL. A prefix matches whole segments only.
    pub prefixes: Vec<ApiPath>,
    /// The largest body, in bytes.
    pub body_max: u64,
    /// Requests per minute and Keytile instance; `None` for no limit.
    pub per_minute: Option<u32>,
    /// How often a request that is safe to repeat is sent again after 429, 502, 503 or 504.
    pub retries: u8,
}

/// A policy as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawPolicy {
    /// The words of the methods.
    pub methods: Vec<String>,
    /// One path prefix per line.
    pub prefixes: String,
    /// The largest body, in MiB.
    pub body_mib: String,
    /// Requests per minute; empty for no limit.
    pub per_minute: String,
    /// Retries; empty for none.
    pub retries: String,
}

/// Why a policy doesn't allow a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    Method,
    /// The path is below none of the prefixes.
    Path,
}

impl EgressPolicy {
    /// What a kind of resource suggests: a source reads, a destination writes. The method of its own endpoint is
    /// allowed in any case, for the resource was made to use it.
    pub fn of_kind(kind: ResourceKind, own: Method) -> Self {
        let (mut methods, body_max) = match kind {
            ResourceKind::Source => (vec![Method::Get], SOURCE_BODY),
            ResourceKind::Destination => (vec![Method::Post, Method::Put, Method::Patch, Method::Delete], DESTINATION_BODY),
        };
        if !methods.contains(&own) {
            methods.push(own);
        }
        Self { methods, prefixes: vec![ApiPath::root()], body_max, per_minute: None, retries: 0 }
    }

    /// Parses a policy. Errors are for the fields `methods`, `prefixes`, `body_mib`, `per_minute` and
    /// `retries`.
    pub fn parse(raw: &RawPolicy) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| errors.push(FieldError::new(field, message));
        let mut methods: Vec<Method> = Method::ALL.into_iter().collect();
        methods.retain(|method| raw.methods.iter().any(|word| Method::parse(word) == Some(*method)));
        if methods.is_empty() || raw.methods.iter().any(|word| Method::parse(word).is_none()) {
            wrong("methods", "Choose at least one method of GET, POST, PUT, PATCH and DELETE.".into());
        }
        let mut prefixes: Vec<ApiPath> = Vec::new();
        if raw.prefixes.trim().is_empty() {
            wrong("prefixes", "Enter at least one path. A / alone allows the whole API.".into());
        }
        for line in raw.prefixes.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let settled = ApiPath::parse(line).and_then(|path| {
                let settled = RequestPath::settle(path.as_str()).map_err(|fault| format!("“{line}” cannot be a path: {fault}."))?;
                ApiPath::parse(settled.as_str())
            });
            match settled {
                Ok(prefix) if prefixes.contains(&prefix) => {}
                Ok(prefix) => prefixes.push(prefix),
                Err(message) => wrong("prefixes", message),
            }
        }
        if prefixes.len() > PREFIXES_MAX {
            wrong("prefixes", format!("Enter at most {PREFIXES_MAX} paths."));
        }
        let body_max = match raw.body_mib.trim().parse::<u64>() {
            Ok(mib) if mib <= BODY_MIB_MAX => mib << 20,
            _ => {
                wrong("body_mib", "Enter a whole number of MiB from 0 to 1,048,576.".to_owned());
                0
            }
        };
        let per_minute = match raw.per_minute.trim() {
            "" => None,
            text => match text.parse::<u32>() {
                Ok(number @ 1..=PER_MINUTE_MAX) => Some(number),
                _ => {
                    wrong("per_minute", "Enter a number from 1 to 1,000,000, or leave it empty for no limit.".to_owned());
                    None
                }
            },
        };
        let retries = match raw.retries.trim() {
            "" => 0,
            text => text.parse().ok().filter(|number| *number <= RETRIES_MAX).unwrap_or_else(|| {
                wrong("retries", format!("Enter a number from 0 to {RETRIES_MAX}."));
                0
            }),
        };
        if errors.is_empty() { Ok(Self { methods, prefixes, body_max, per_minute, retries }) } else { Err(errors) }
    }

    /// The policy as it would be typed.
    pub fn to_raw(&self) -> RawPolicy {
        let lines: Vec<&str> = self.prefixes.iter().map(ApiPath::as_str).collect();
        RawPolicy {
            methods: self.methods.iter().map(|method| method.as_str().to_owned()).collect(),
            prefixes: lines.join("\n"),
            body_mib: (self.body_max >> 20).to_string(),
            per_minute: self.per_minute.map(|number| number.to_string()).unwrap_or_default(),
            retries: self.retries.to_string(),
        }
    }

    /// `method` is case-sensitive, as it is in the request (RFC 9110 section 9.1).
    pub fn check(&self, method: &str, path: &RequestPath<'_>) -> Result<(), Breach> {
        let wanted = if method == "HEAD" { "GET" } else { method };
        if !self.methods.iter().any(|allowed| allowed.as_str() == wanted) {
            return Err(Breach::Method);
        }
        if !self.prefixes.iter().any(|prefix| path.is_within(prefix.as_str())) {
            return Err(Breach::Path);
        }
        Ok(())
    }

    /// The value of the `Allow` header (RFC 9110 section 10.2.1).
    pub fn allow(&self) -> String {
        let mut names: Vec<&str> = self.methods.iter().map(|method| method.as_str()).collect();
        if let Some(at) = names.iter().position(|name| *name == "GET") {
            names.insert(at + 1, "HEAD");
        }
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &EgressPolicy, method: &str, path: &str) -> Result<(), Breach> {
        policy.check(method, &RequestPath::settle(path).unwrap())
    }

    #[test]
    fn a_source_reads_and_a_destination_writes() {
        let source = EgressPolicy::of_kind(ResourceKind::Source, Method::Get);
        assert_eq!(source.allow(), "GET, HEAD");
        assert_eq!(check(&source, "GET", "/users"), Ok(()));
        assert_eq!(check(&source, "HEAD", "/"), Ok(()));
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "PROPFIND"] {
            assert_eq!(check(&source, method, "/users"), Err(Breach::Method), "{method}");
        }
        let destination = EgressPolicy::of_kind(ResourceKind::Destination, Method::Post);
        assert_eq!(destination.allow(), "POST, PUT, PATCH, DELETE");
        assert_eq!(check(&destination, "GET", "/users"), Err(Breach::Method));
        let searching = EgressPolicy::of_kind(ResourceKind::Source, Method::Post);
        assert_eq!(check(&searching, "POST", "/search"), Ok(()));
    }

    #[test]
    fn what_is_typed_is_read_and_shown_again() {
        let typed = RawPolicy {
            methods: vec!["delete".into(), "GET".into()],
            prefixes: "/users\n\n  /%75sers \n/v1/calls".into(),
            body_mib: " 5 ".into(),
            per_minute: "600".into(),
            retries: "2".into(),
        };
        let policy = EgressPolicy::parse(&typed).unwrap();
        assert_eq!((policy.body_max, policy.per_minute, policy.retries), (5 << 20, Some(600), 2));
        assert_eq!((policy.allow(), policy.prefixes.len()), ("GET, HEAD, DELETE".into(), 2));
        assert_eq!(EgressPolicy::parse(&policy.to_raw()), Ok(policy));
    }

    #[test]
    fn what_is_wrong_is_told_for_its_field() {
        let good = EgressPolicy::of_kind(ResourceKind::Source, Method::Get).to_raw();
        let fields = |change: fn(&mut RawPolicy)| {
            let mut raw = good.clone();
            change(&mut raw);
            EgressPolicy::parse(&raw).unwrap_err().into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(|raw| raw.methods.clear()), ["methods"]);
        assert_eq!(fields(|raw| raw.methods.push("TRACE".into())), ["methods"]);
        for prefixes in ["", "users", "/a/../b", "/a?b", "//a", "/%zz"] {
            let raw = RawPolicy { prefixes: prefixes.into(), ..good.clone() };
            assert!(EgressPolicy::parse(&raw).unwrap_err().iter().all(|error| error.field == "prefixes"), "{prefixes}");
        }
        assert_eq!(fields(|raw| raw.prefixes = (0..21).map(|n| format!("/{n}\n")).collect()), ["prefixes"]);
        assert_eq!(fields(|raw| raw.body_mib = "much".into()), ["body_mib"]);
        assert_eq!(fields(|raw| raw.body_mib = "1048577".into()), ["body_mib"]);
        assert_eq!(fields(|raw| raw.per_minute = "0".into()), ["per_minute"]);
        assert_eq!(fields(|raw| raw.retries = "6".into()), ["retries"]);
        assert_eq!(fields(|raw| *raw = RawPolicy::default()).len(), 3);
    }

    #[test]
    fn a_path_lies_below_one_of_the_prefixes() {
        let mut policy = EgressPolicy::of_kind(ResourceKind::Source, Method::Get);
        policy.prefixes = ["/users", "/v1/calls/"].map(|path| ApiPath::parse(path).unwrap()).to_vec();
        for path in ["/users", "/users/7", "/v1/calls", "/v1/calls/1"] {
            assert_eq!(check(&policy, "GET", path), Ok(()), "{path}");
        }
        for path in ["/", "/usersx", "/v1", "/v1/call", "/Users"] {
            assert_eq!(check(&policy, "GET", path), Err(Breach::Path), "{path}");
        }
    }
}
