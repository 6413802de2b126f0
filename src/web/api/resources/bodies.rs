//! Sources and destinations as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    domain::resources::{Method, ResourceKind},
    service::resources::update::{EndpointPatch, PolicyPatch, ResourceRecord},
    web::api::body::nullable,
};

/// Whether data is read from a resource or written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ResourceKind)]
pub(crate) enum KindWord {
    /// Data is read from it.
    Source,
    /// Data is written to it.
    Destination,
}

impl From<ResourceKind> for KindWord {
    fn from(kind: ResourceKind) -> Self {
        match kind {
            ResourceKind::Source => Self::Source,
            ResourceKind::Destination => Self::Destination,
        }
    }
}

impl From<KindWord> for ResourceKind {
    fn from(kind: KindWord) -> Self {
        match kind {
            KindWord::Source => Self::Source,
            KindWord::Destination => Self::Destination,
        }
    }
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = Method)]
pub(crate) enum MethodWord {
    /// Reads.
    Get,
    /// Adds.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Deletes.
    Delete,
}

impl From<Method> for MethodWord {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::Get,
            Method::Post => Self::Post,
            Method::Put => Self::Put,
            Method::Patch => Self::Patch,
            Method::Delete => Self::Delete,
        }
    }
}

impl MethodWord {
    fn word(self) -> String {
        let method = match self {
            Self::Get => Method::Get,
            Self::Post => Method::Post,
            Self::Put => Method::Put,
            Self::Patch => Method::Patch,
            Self::Delete => Method::Delete,
        };
        method.as_str().to_owned()
    }
}

/// A query parameter, not encoded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Parameter)]
pub(crate) struct ParameterBody {
    /// Its name.
    #[schema(min_length = 1, max_length = 2000)]
    name: String,
    /// Its value.
    #[schema(max_length = 2000)]
    value: String,
}

impl From<(String, String)> for ParameterBody {
    fn from((name, value): (String, String)) -> Self {
        Self { name, value }
    }
}

/// The request that a resource makes.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointBody {
    /// The method.
    method: MethodWord,
    /// The path below the API's base URL.
    path: String,
    /// Query parameters, in order.
    query: Vec<ParameterBody>,
}

/// The requests that a resource allows.
#[derive(Serialize, ToSchema)]
#[schema(as = EgressPolicy)]
pub(crate) struct PolicyBody {
    /// The allowed methods. `GET` includes `HEAD`.
    methods: Vec<MethodWord>,
    /// The allowed paths, below the API's base URL: each prefix and everything below it.
    prefixes: Vec<String>,
    /// The largest request body, in MiB.
    body_mib: u64,
    /// How many requests per minute each Keytile instance forwards; null for no limit.
    per_minute: Option<u32>,
    /// How many times a request that's safe to repeat is sent again after 429, 502, 503 or 504.
    retries: u8,
}

/// A data source or a data destination.
#[derive(Serialize, ToSchema)]
#[schema(as = Resource)]
pub(crate) struct ResourceBody {
    /// The resource's id. Its proxy is at `/proxy/{id}/`.
    id: Uuid,
    /// Source or destination.
    kind: KindWord,
    /// Its name, unique for its owner and kind, ignoring case.
    name: String,
    /// Its description; can be empty.
    description: String,
    /// Its connector.
    connector: String,
    /// The credential it uses.
    credential: Uuid,
    /// The credential's name.
    credential_name: String,
    /// The result of the credential's last verification: `verified`, `rejected` or `unreachable`.
    #[schema(example = "verified")]
    credential_status: &'static str,
    /// The request it makes; null if the stored value can't be decrypted.
    endpoint: Option<EndpointBody>,
    /// The requests it allows; null if the stored value can't be decrypted.
    policy: Option<PolicyBody>,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// Increases by one with each change.
    version: i64,
}

impl From<ResourceRecord> for ResourceBody {
    fn from(record: ResourceRecord) -> Self {
        let summary = record.summary;
        let (endpoint, policy) = record.sealed.unzip();
        Self {
            id: summary.id,
            kind: summary.kind.into(),
            name: summary.name,
            description: summary.description,
            connector: summary.connector.into(),
            credential: summary.credential,
            credential_name: summary.credential_name,
            credential_status: summary.credential_status.as_str(),
            endpoint: endpoint.map(|endpoint| EndpointBody {
                method: endpoint.method.into(),
                path: endpoint.path.into(),
                query: endpoint.query.into_iter().map(ParameterBody::from).collect(),
            }),
            policy: policy.map(|policy| PolicyBody {
                methods: policy.methods.into_iter().map(MethodWord::from).collect(),
                prefixes: policy.prefixes.into_iter().map(String::from).collect(),
                body_mib: policy.body_max >> 20,
                per_minute: policy.per_minute,
                retries: policy.retries,
            }),
            created_at: summary.created_at.to_rfc3339(),
            version: record.version,
        }
    }
}

/// A page of resources, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResourceList {
    /// The resources.
    pub(crate) items: Vec<ResourceBody>,
    /// The `cursor` for the next page; null on the last page.
    pub(crate) next_cursor: Option<String>,
}

/// An endpoint: one that the connector offers, by name, or a custom method and path. When you change a resource,
/// members you leave out stay the same.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointChange {
    /// The name of an endpoint that the connector offers.
    offer: Option<String>,
    /// The method.
    method: Option<MethodWord>,
    /// The path below the API's base URL, starting with `/`.
    #[schema(min_length = 1, max_length = 1000, pattern = "^/", example = "/users")]
    path: Option<String>,
    /// All query parameters. By default, those of the offered endpoint.
    #[schema(max_items = 50)]
    query: Option<Vec<ParameterBody>>,
}

impl From<EndpointChange> for EndpointPatch {
    fn from(change: EndpointChange) -> Self {
        let query = |query: Vec<ParameterBody>| query.into_iter().map(|row| (row.name, row.value)).collect();
        Self { offer: change.offer, method: change.method.map(MethodWord::word), path: change.path, query: change.query.map(query) }
    }
}

/// The requests to allow. Members you leave out stay the same. For a new resource, they depend on its kind.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyChange {
    /// The allowed methods.
    #[schema(min_items = 1)]
    methods: Option<Vec<MethodWord>>,
    /// The allowed paths, each starting with `/`: a prefix and everything below it.
    #[schema(min_items = 1, max_items = 20)]
    prefixes: Option<Vec<String>>,
    /// The largest request body, in MiB.
    #[schema(minimum = 0, maximum = 1048576)]
    body_mib: Option<u64>,
    /// How many requests per minute; null for no limit.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1000000)]
    per_minute: Option<Option<u64>>,
    /// How many times to send a request again.
    #[schema(minimum = 0, maximum = 5)]
    retries: Option<u64>,
}

impl From<PolicyChange> for PolicyPatch {
    fn from(change: PolicyChange) -> Self {
        Self {
            methods: change.methods.map(|methods| methods.into_iter().map(MethodWord::word).collect()),
            prefixes: change.prefixes,
            body_mib: change.body_mib,
            per_minute: change.per_minute,
            retries: change.retries,
        }
    }
}

/// A resource to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewResource {
    /// Source or destination.
    pub(crate) kind: KindWord,
    /// A name, unique for this account and kind.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: String,
    /// A description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub(crate) description: String,
    /// The credential to use. The resource gets the credential's connector.
    pub(crate) credential: Uuid,
    /// The request it makes.
    pub(crate) endpoint: EndpointChange,
    /// The requests it allows.
    #[serde(default)]
    pub(crate) policy: Option<PolicyChange>,
    /// The old name of `policy`, still accepted.
    #[serde(default)]
    #[schema(ignore)]
    pub(crate) contract: Option<PolicyChange>,
}

/// Changes to a resource. Members you leave out stay the same.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceChange {
    /// A new name.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: Option<String>,
    /// A new description.
    #[schema(max_length = 2000)]
    pub(crate) description: Option<String>,
    /// Another credential of the same connector.
    pub(crate) credential: Option<Uuid>,
    /// A new endpoint.
    pub(crate) endpoint: Option<EndpointChange>,
    /// A new egress policy.
    pub(crate) policy: Option<PolicyChange>,
    /// The old name of `policy`, still accepted.
    #[schema(ignore)]
    pub(crate) contract: Option<PolicyChange>,
}
