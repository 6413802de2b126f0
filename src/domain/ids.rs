//! The identifiers of connectors and their fields, as connector files write them.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $separator:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// `None` unless it begins with a lower-case letter, has at most 64 bytes, and uses only
            /// lower-case letters, digits and the separator.
            pub fn new(text: &str) -> Option<Self> {
                let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
                let rest = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == $separator);
                (starts && rest && text.len() <= 64).then(|| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(&text).ok_or_else(|| {
                    format!("`{text}` is not an identifier: up to 64 lower-case letters, digits and `{}`, beginning with a letter", $separator)
                })
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier!(
    /// Lower-case letters, digits and `-`.
    ConnectorId,
    '-'
);
identifier!(
    /// Lower-case letters, digits and `_`.
    FieldId,
    '_'
);
