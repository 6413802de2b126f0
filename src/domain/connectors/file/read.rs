//! Reads a connector file. Errors name the file, line, key and reason.
//!
//! Reading has two steps: the TOML text becomes the plain structs below, which checks spelling and types;
//! then `Check` turns them into a [`Connector`], which checks references between the parts.

#[cfg(test)]
mod tests;

use indexmap::IndexMap;
use serde::Deserialize;

use super::check::Check;
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

/// The default status for a rejected token (RFC 6750 section 3.1).
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

/// `file` is its name, for errors.
pub fn read(file: &str, text: &str) -> Result<ConnectorFile, ConnectorFileError> {
    let parsed: FileText = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let line = line_at(text, span.start);
        let line_start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let written = text[line_start..].lines().next().unwrap_or_default();
        // The span of an unknown key is the key; that of a wrong value starts after the key.
        let key = match written.split_once('=') {
            Some((key, _)) => key.trim(),
            None => written.trim(),
        };
        let key = if key.is_empty() { "(file)" } else { key };
        ConnectorFileError { file: file.into(), line, key: key.into(), reason: error.message().trim_end().replace('\n', " ") }
    })?;
    Check { file, text }.connector(parsed)
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
