//! The values of a credential's fields. A secret value has no `Display` and is exposed only on the line that
//! uses it.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::ids::FieldId;

#[derive(Clone)]
pub enum FieldValue {
    /// May be shown to people who can see the credential.
    Plain(String),
    /// Is never shown again.
    Secret(SecretString),
}

/// The values of one credential. Fields without a value have no entry.
#[derive(Clone, Default)]
pub struct FieldValues(BTreeMap<FieldId, FieldValue>);

impl FieldValues {
    pub fn insert(&mut self, field: FieldId, value: FieldValue) {
        self.0.insert(field, value);
    }

    /// Sets a value that isn't secret under one of Keytile's own ids. Does nothing if `own` isn't a valid id.
    pub fn insert_own(&mut self, own: &'static str, value: &str) {
        if let Some(field) = FieldId::new(own) {
            self.0.insert(field, FieldValue::Plain(value.to_owned()));
        }
    }

    pub fn get(&self, field: &FieldId) -> Option<&FieldValue> {
        self.0.get(field)
    }

    /// `None` if the field has no value or is a secret.
    pub fn plain(&self, field: &str) -> Option<&str> {
        match self.0.get(field) {
            Some(FieldValue::Plain(value)) => Some(value),
            _ => None,
        }
    }

    /// The value of a field, even if it's a secret. Only for building a request and for sealing.
    pub fn expose(&self, field: &str) -> Option<&str> {
        match self.0.get(field)? {
            FieldValue::Plain(value) => Some(value),
            FieldValue::Secret(value) => Some(value.expose_secret()),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&FieldId, &FieldValue)> {
        self.0.iter()
    }

    /// For redacting them from the service's responses.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.0.values().filter_map(|value| match value {
            FieldValue::Secret(secret) => Some(secret),
            FieldValue::Plain(_) => None,
        })
    }

    /// The bytes to seal. The buffer is wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let exposed: BTreeMap<&str, Exposed<'_>> = self.0.iter().map(|(field, value)| (field.as_str(), value.into())).collect();
        // The full capacity up front: a buffer that grows would leave copies in memory. JSON needs at most 6
        // bytes for each byte of a value.
        let room = self
            .0
            .keys()
            .map(|field| field.as_str().len() + 6 * self.expose(field.as_str()).map_or(0, str::len) + 32)
            .sum::<usize>()
            + 16;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        // A map of strings always serialises, and writing to a Vec never fails.
        let written = serde_json::to_writer(&mut *bytes, &exposed);
        debug_assert!(written.is_ok());
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: BTreeMap<FieldId, Stored> = serde_json::from_slice(bytes).ok()?;
        Some(Self(stored.into_iter().map(|(field, value)| (field, value.into())).collect()))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Exposed<'a> {
    Plain(&'a str),
    Secret(&'a str),
}

impl<'a> From<&'a FieldValue> for Exposed<'a> {
    fn from(value: &'a FieldValue) -> Self {
        match value {
            FieldValue::Plain(value) => Self::Plain(value),
            FieldValue::Secret(value) => Self::Secret(value.expose_secret()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Plain(String),
    Secret(SecretText),
}

/// A secret on its way from sealed bytes into a [`SecretString`].
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl From<Stored> for FieldValue {
    fn from(value: Stored) -> Self {
        match value {
            Stored::Plain(value) => Self::Plain(value),
            Stored::Secret(SecretText(value)) => Self::Secret(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_hold_every_value(plain in ".{0,40}", secret in ".{0,40}") {
            let mut values = FieldValues::default();
            values.insert(FieldId::new("client_id").unwrap(), FieldValue::Plain(plain.clone()));
            values.insert(FieldId::new("client_secret").unwrap(), FieldValue::Secret(secret.clone().into()));
            let bytes = values.to_bytes();
            let read = FieldValues::from_bytes(&bytes).unwrap();
            prop_assert_eq!(read.plain("client_id"), Some(plain.as_str()));
            prop_assert_eq!(read.plain("client_secret"), None);
            prop_assert_eq!(read.expose("client_secret"), Some(secret.as_str()));
            prop_assert_eq!(read.secrets().count(), 1);
        }
    }
}
