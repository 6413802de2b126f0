//! A connector file as its TOML says it: the keys and their types, before what they refer to is checked.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::domain::{
    connectors::{Connector, ConnectorId, FieldId, format::FieldFormat},
    resources::ResourceKind,
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {key}: {reason}")]
pub struct ConnectorFileError {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// The key at fault, such as `token.url` or `field[2].format`.
    pub key: String,
    pub reason: String,
}

#[derive(Debug)]
pub struct ConnectorFile {
    /// Its guide is still empty.
    pub connector: Connector,
    /// The Markdown file beside it that holds the guide.
    pub guide_file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileText {
    pub(super) id: ConnectorId,
    pub(super) name: String,
    pub(super) badge: Option<String>,
    pub(super) summary: String,
    pub(super) used_for: Vec<ResourceKind>,
    pub(super) section: String,
    pub(super) guide: String,
    pub(super) account: String,
    #[serde(rename = "field")]
    pub(super) fields: Vec<FieldText>,
    pub(super) token: TokenText,
    pub(super) api: ApiText,
    pub(super) probe: Option<ProbeText>,
    #[serde(default, rename = "endpoint")]
    pub(super) endpoints: Vec<EndpointText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldText {
    pub(super) id: FieldId,
    pub(super) label: String,
    #[serde(default)]
    pub(super) help: String,
    #[serde(default)]
    pub(super) example: String,
    pub(super) format: Option<FieldFormat>,
    #[serde(default)]
    pub(super) secret: bool,
    #[serde(default)]
    pub(super) advanced: bool,
    #[serde(default)]
    pub(super) optional: bool,
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) suffix: String,
    #[serde(default)]
    pub(super) accept_hosts: Vec<String>,
    #[serde(default)]
    pub(super) options: IndexMap<String, IndexMap<String, String>>,
    pub(super) max_length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenText {
    pub(super) grant: String,
    pub(super) url: String,
    pub(super) client_auth: Option<String>,
    pub(super) basic_encoding: Option<String>,
    pub(super) request_format: Option<String>,
    pub(super) lifetime: String,
    #[serde(default)]
    pub(super) params: IndexMap<String, String>,
    #[serde(default)]
    pub(super) headers: IndexMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiText {
    pub(super) base_url: String,
    pub(super) authorization: String,
    #[serde(default)]
    pub(super) headers: IndexMap<String, String>,
    #[serde(default = "unauthorized")]
    pub(super) token_refused: Vec<u16>,
}

/// With which status a service refuses a token, unless its file says otherwise (RFC 6750 section 3.1).
fn unauthorized() -> Vec<u16> {
    vec![401]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeText {
    pub(super) path: String,
    pub(super) compare: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointText {
    pub(super) used_for: Vec<ResourceKind>,
    pub(super) name: String,
    pub(super) method: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) query: IndexMap<String, String>,
    #[serde(default)]
    pub(super) sample_body: String,
}

/// The line at a byte offset, counted from 1.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
