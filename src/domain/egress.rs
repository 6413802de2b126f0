//! The egress contract of a resource: what may be sent to its service in its name, whoever asks.

use serde::{Deserialize, Serialize};

use super::{
    request_path::RequestPath,
    resource::{ApiPath, Method, ResourceKind},
};

/// The most path prefixes of one contract.
pub const PREFIXES_MAX: usize = 20;
/// The most retries of one request.
pub const RETRIES_MAX: u8 = 5;
/// The largest bound of a body, in bytes: 1 TiB.
pub const BODY_BOUND_MAX: u64 = 1 << 40;

/// What a source may send when nobody has said otherwise, in bytes: enough for a query that is too long for an address.
const SOURCE_BODY: u64 = 1 << 20;
/// What a destination may send when nobody has said otherwise, in bytes.
const DESTINATION_BODY: u64 = 100 << 20;

/// What the requests of a resource may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressContract {
    /// The methods. `HEAD` goes with `GET`: it asks for less of the same.
    pub methods: Vec<Method>,
    /// Where their paths may lie, below the base URL of the API; each ends where a segment ends.
    pub prefixes: Vec<ApiPath>,
    /// The largest body, in bytes.
    pub body_max: u64,
    /// How many requests a minute each instance sends on; `None` for as many as come.
    pub per_minute: Option<u32>,
    /// How often a request that is safe to repeat is sent again after 429, 502, 503 or 504.
    pub retries: u8,
}

/// Why a request is outside of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// The method is none of those allowed.
    Method,
    /// The path lies below none of the prefixes.
    Path,
}

impl EgressContract {
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

    /// Whether a request keeps to it. `method` is as it stands in the request.
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

    /// The methods as the `Allow` header lists them (RFC 9110 section 10.2.1).
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

    fn check(contract: &EgressContract, method: &str, path: &str) -> Result<(), Breach> {
        contract.check(method, &RequestPath::settle(path).unwrap())
    }

    #[test]
    fn a_source_reads_and_a_destination_writes() {
        let source = EgressContract::of_kind(ResourceKind::Source, Method::Get);
        assert_eq!(source.allow(), "GET, HEAD");
        assert_eq!(check(&source, "GET", "/users"), Ok(()));
        assert_eq!(check(&source, "HEAD", "/"), Ok(()));
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "PROPFIND"] {
            assert_eq!(check(&source, method, "/users"), Err(Breach::Method), "{method}");
        }
        let destination = EgressContract::of_kind(ResourceKind::Destination, Method::Post);
        assert_eq!(destination.allow(), "POST, PUT, PATCH, DELETE");
        assert_eq!(check(&destination, "GET", "/users"), Err(Breach::Method));
        let searching = EgressContract::of_kind(ResourceKind::Source, Method::Post);
        assert_eq!(check(&searching, "POST", "/search"), Ok(()));
    }

    #[test]
    fn a_path_lies_below_one_of_the_prefixes() {
        let mut contract = EgressContract::of_kind(ResourceKind::Source, Method::Get);
        contract.prefixes = ["/users", "/v1/calls/"].map(|path| ApiPath::parse(path).unwrap()).to_vec();
        for path in ["/users", "/users/7", "/v1/calls", "/v1/calls/1"] {
            assert_eq!(check(&contract, "GET", path), Ok(()), "{path}");
        }
        for path in ["/", "/usersx", "/v1", "/v1/call", "/Users"] {
            assert_eq!(check(&contract, "GET", path), Err(Breach::Path), "{path}");
        }
    }
}
