//! A setting, in the form in which the audit trail compares it between two starts.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The flag without the leading dashes.
    pub name: &'static str,
    /// As it's typed. Empty if it isn't set; several values are separated by commas.
    pub value: String,
    pub default: &'static str,
    /// True if the value, or a part of it, must not be shown.
    pub secret: bool,
}
