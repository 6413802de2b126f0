//! A field: one value that a connector asks for, and what may be typed into it.

use super::{FieldId, format::FieldFormat, template::Template};

/// One value that a connector asks for.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its id; also its name in forms.
    pub id: FieldId,
    /// What people call it.
    pub label: String,
    /// A sentence of help, or an empty text.
    pub help: String,
    /// An example of a value, or an empty text.
    pub example: String,
    /// What it accepts.
    pub format: FieldFormat,
    /// True when its value is never shown again.
    pub secret: bool,
    /// True when it is folded away until asked for.
    pub advanced: bool,
    /// True when it may be left empty.
    pub optional: bool,
    /// The value it has when nothing is typed.
    pub default: Option<String>,
    /// Shown in front of the value.
    pub prefix: Template,
    /// Shown behind the value.
    pub suffix: Template,
    /// More domains, beside that of the suffix, whose host names may be pasted: the label before them is
    /// the value. One with `{field.attribute}` chooses the option whose attribute it matches.
    pub accept_hosts: Vec<Template>,
    /// The choices of an `enum` field.
    pub options: Vec<FieldOption>,
    /// The most characters a value may have.
    pub max_length: usize,
}

/// One choice of an `enum` field.
#[derive(Debug, Clone)]
pub struct FieldOption {
    /// The value.
    pub id: String,
    /// What people call it.
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
