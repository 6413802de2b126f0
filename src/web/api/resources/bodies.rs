//! Sources and destinations as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    domain::resources::{Method, ResourceKind},
    service::resources::update::{EndpointPatch, PolicyPatch, ResourceRecord},
    web::api::body::nullable,
};

/// Whether data comes from a resource or goes to it.
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

/// A method of HTTP.
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

/// What a resource calls.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointBody {
    /// The method.
    method: MethodWord,
    /// The path below the base URL of the API.
    path: String,
    /// Query parameters, in their order.
    query: Vec<ParameterBody>,
}

/// What may be sent in the name of a resource.
#[derive(Serialize, ToSchema)]
#[schema(as = EgressPolicy)]
pub(crate) struct PolicyBody {
    /// The methods. `HEAD` goes with `GET`.
    methods: Vec<MethodWord>,
    /// Where paths may lie, below the base URL of the API.
    prefixes: Vec<String>,
    /// The largest body, in MiB.
    body_mib: u64,
    /// How many requests a minute each instance sends on; null for as many as come.
    per_minute: Option<u32>,
    /// How often a request that is safe to repeat is sent again after 429, 502, 503 or 504.
    retries: u8,
}

/// A data source or a data destination.
#[derive(Serialize, ToSchema)]
#[schema(as = Resource)]
pub(crate) struct ResourceBody {
    /// Its id. Its proxy is at `/proxy/{id}/`.
    id: Uuid,
    /// Source or destination.
    kind: KindWord,
    /// Its name, unique for its owner and kind without regard to case.
    name: String,
    /// Its description, or an empty text.
    description: String,
    /// The connector it was made with.
    connector: String,
    /// The credential it uses.
    credential: Uuid,
    /// The name of that.
    credential_name: String,
    /// How the last verification of that ended: `verified`, `rejected` or `unreachable`.
    #[schema(example = "verified")]
    credential_status: &'static str,
    /// What it calls; null where what is stored does not open.
    endpoint: Option<EndpointBody>,
    /// What may be sent in its name, likewise.
    policy: Option<PolicyBody>,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// Grows by one with every change.
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
    /// The `cursor` of the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

/// An endpoint: one that the connector offers, by its name, or a method and a path of one's own. In a change, what is
/// left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointChange {
    /// The name of an endpoint that the connector offers.
    offer: Option<String>,
    /// The method.
    method: Option<MethodWord>,
    /// The path below the base URL of the API, beginning with `/`.
    #[schema(min_length = 1, max_length = 1000, pattern = "^/", example = "/users")]
    path: Option<String>,
    /// All query parameters. Without them, those that the offered endpoint begins with.
    #[schema(max_items = 50)]
    query: Option<Vec<ParameterBody>>,
}

impl From<EndpointChange> for EndpointPatch {
    fn from(change: EndpointChange) -> Self {
        let query = |query: Vec<ParameterBody>| query.into_iter().map(|row| (row.name, row.value)).collect();
        Self { offer: change.offer, method: change.method.map(MethodWord::word), path: change.path, query: change.query.map(query) }
    }
}

/// What may be sent. What is left out stays, or is what the kind of the resource suggests.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyChange {
    /// The methods.
    #[schema(min_items = 1)]
    methods: Option<Vec<MethodWord>>,
    /// Where paths may lie, each beginning with `/`.
    #[schema(min_items = 1, max_items = 20)]
    prefixes: Option<Vec<String>>,
    /// The largest body, in MiB.
    #[schema(minimum = 0, maximum = 1048576)]
    body_mib: Option<u64>,
    /// How many requests a minute; null for as many as come.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1000000)]
    per_minute: Option<Option<u64>>,
    /// How often to try again.
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

/// A resource to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewResource {
    /// Source or destination.
    pub(crate) kind: KindWord,
    /// Its name, unique for the account and the kind.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: String,
    /// Its description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub(crate) description: String,
    /// The credential it uses. Its connector becomes that of the resource.
    pub(crate) credential: Uuid,
    /// What it calls.
    pub(crate) endpoint: EndpointChange,
    /// What may be sent in its name.
    #[serde(default)]
    pub(crate) policy: Option<PolicyChange>,
    /// The old name of `policy`, which is read still.
    #[serde(default)]
    #[schema(ignore)]
    pub(crate) contract: Option<PolicyChange>,
}

/// What is to be changed of a resource. What is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceChange {
    /// Another name.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: Option<String>,
    /// Another description.
    #[schema(max_length = 2000)]
    pub(crate) description: Option<String>,
    /// Another credential of the same connector.
    pub(crate) credential: Option<Uuid>,
    /// Another endpoint.
    pub(crate) endpoint: Option<EndpointChange>,
    /// Another policy.
    pub(crate) policy: Option<PolicyChange>,
    /// The old name of `policy`, which is read still.
    #[schema(ignore)]
    pub(crate) contract: Option<PolicyChange>,
}
