//! A field: one value that a connector asks for, and what may be typed into it.

use super::{FieldId, format::FieldFormat, template::Template};

/// A value that the connector asks for.
#[derive(Debug, Clone)]
pub struct Field {
    /// Also the name of its form control.
    pub id: FieldId,
    pub label: String,
    /// One sentence, or empty.
    pub help: String,
    /// An example value, or empty.
    pub example: String,
    pub format: FieldFormat,
    /// True if its value is never shown again.
    pub secret: bool,
    /// True if the form hides it until it's asked for.
    pub advanced: bool,
    pub optional: bool,
    /// Used when nothing is typed.
    pub default: Option<String>,
    /// Shown before the value.
    pub prefix: Template,
    /// Shown after the value.
    pub suffix: Template,
    /// More domains, besides the suffix, whose host names may be pasted: the label before the domain becomes
    /// the value. A domain with `{field.attribute}` also selects the option whose attribute matches.
    pub accept_hosts: Vec<Template>,
    /// Empty unless the format is `enum`.
    pub options: Vec<FieldOption>,
    /// In characters.
    pub max_length: usize,
}

/// A choice of an `enum` field.
#[derive(Debug, Clone)]
pub struct FieldOption {
    /// The value that is stored.
    pub id: String,
    pub label: String,
    /// What templates read as `{field.attribute}`.
    pub attributes: Vec<(String, String)>,
}

impl FieldOption {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
