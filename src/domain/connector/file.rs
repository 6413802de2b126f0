//! Reads a connector file. A wrong one is refused with file, line, key and reason.
//!
//! Reading goes in two steps: the TOML text becomes the plain structs below, which settles spelling and
//! types, and then `Check` turns them into a [`Connector`], which settles what refers to what.

mod check;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;
use serde::Deserialize;

use self::check::Check;
use super::{Connector, ConnectorId, FieldId, format::FieldFormat};
use crate::domain::resource::ResourceKind;

/// Why a connector file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {key}: {reason}")]
pub struct ConnectorFileError {
    /// The file's name.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The key at fault, such as `token.url` or `field[2].format`.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// A connector file that was read, and the name of the guide it asks for.
#[derive(Debug)]
pub struct ConnectorFile {
    /// The connector; its guide is still empty.
    pub connector: Connector,
    /// The name of the Markdown file that holds its guide.
    pub guide_file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    id: ConnectorId,
    name: String,
    badge: Option<String>,
    summary: String,
    used_for: Vec<ResourceKind>,
    section: String,
    guide: String,
    account: String,
    #[serde(rename = "field")]
    fields: Vec<FieldText>,
    token: TokenText,
    api: ApiText,
    probe: Option<ProbeText>,
    #[serde(default, rename = "endpoint")]
    endpoints: Vec<EndpointText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldText {
    id: FieldId,
    label: String,
    #[serde(default)]
    help: String,
    #[serde(default)]
    example: String,
    format: Option<FieldFormat>,
    #[serde(default)]
    secret: bool,
    #[serde(default)]
    advanced: bool,
    #[serde(default)]
    optional: bool,
    default: Option<String>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    suffix: String,
    #[serde(default)]
    accept_hosts: Vec<String>,
    #[serde(default)]
    options: IndexMap<String, IndexMap<String, String>>,
    max_length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenText {
    grant: String,
    url: String,
    client_auth: Option<String>,
    basic_encoding: Option<String>,
    request_format: Option<String>,
    lifetime: String,
    #[serde(default)]
    params: IndexMap<String, String>,
    #[serde(default)]
    headers: IndexMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiText {
    base_url: String,
    authorization: String,
    #[serde(default)]
    headers: IndexMap<String, String>,
    #[serde(default = "unauthorized")]
    token_refused: Vec<u16>,
}

/// With which status a service refuses a token, unless its file says otherwise (RFC 6750 section 3.1).
fn unauthorized() -> Vec<u16> {
    vec![401]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeText {
    path: String,
    compare: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointText {
    used_for: Vec<ResourceKind>,
    name: String,
    method: String,
    path: String,
    #[serde(default)]
    query: IndexMap<String, String>,
    #[serde(default)]
    sample_body: String,
}

/// Reads the text of a connector file. `file` is its name, for errors.
pub fn read(file: &str, text: &str) -> Result<ConnectorFile, ConnectorFileError> {
    let parsed: FileText = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let line = line_at(text, span.start);
        let line_start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let written = text[line_start..].lines().next().unwrap_or_default();
        // An unknown key is marked itself; a wrong value is marked without its key, which stands before it.
        let key = match written.split_once('=') {
            Some((key, _)) => key.trim(),
            None => written.trim(),
        };
        let key = if key.is_empty() { "(file)" } else { key };
        ConnectorFileError { file: file.into(), line, key: key.into(), reason: error.message().trim_end().replace('\n', " ") }
    })?;
    Check { file, text }.connector(parsed)
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
