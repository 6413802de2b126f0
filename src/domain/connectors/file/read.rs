//! Reads a connector file. Errors name the file, line, key and reason.
//!
//! Reading has two steps: the TOML text becomes the plain structs below, which checks spelling and types;
//! then `Check` turns them into a [`Connector`](crate::domain::connectors::Connector), which checks references between the parts.

#[cfg(test)]
mod tests;

use super::{
    check::Check,
    text::{ConnectorFile, ConnectorFileError, FileText, line_at},
};

/// Reads the text of a connector file. `file` is its name, for errors.
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
