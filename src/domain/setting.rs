//! A setting as the audit trail compares it from one start to the next.

/// A setting and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its flag, without the dashes.
    pub name: &'static str,
    /// Its value as it is typed; empty when it is not set, several separated by commas.
    pub value: String,
    /// The value that it has when nobody sets it.
    pub default: &'static str,
    /// True when the value, or a part of it, is not to be shown.
    pub secret: bool,
}
