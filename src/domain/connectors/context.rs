//! The values that templates read: those of a credential, with the defaults of its fields, and an access token.

use secrecy::{ExposeSecret, SecretString};

use super::{
    field::Field,
    template::{Reference, Resolve},
};
use crate::domain::credentials::values::FieldValues;

/// What a template reads its values from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    fields: &'a [Field],
    values: &'a FieldValues,
    access_token: Option<&'a SecretString>,
}

impl<'a> Context<'a> {
    /// Reads from a credential's values; a field without one has its default.
    pub fn new(fields: &'a [Field], values: &'a FieldValues) -> Self {
        Self { fields, values, access_token: None }
    }

    /// The same, with an access token.
    pub fn with_access_token(self, token: &'a SecretString) -> Self {
        Self { access_token: Some(token), ..self }
    }

    /// The value of a field, or its default; exposed.
    pub fn value(&self, field: &str) -> Option<&'a str> {
        let value = self.values.expose(field).filter(|value| !value.is_empty());
        value.or_else(|| self.field(field)?.default.as_deref())
    }

    pub(super) fn field(&self, id: &str) -> Option<&'a Field> {
        self.fields.iter().find(|field| field.id.as_str() == id)
    }
}

impl Resolve for Context<'_> {
    fn resolve(&self, reference: &Reference) -> Option<&str> {
        match reference {
            Reference::AccessToken => self.access_token.map(|token| token.expose_secret()),
            Reference::Field(field) => self.value(field.as_str()),
            Reference::Attribute(field, attribute) => {
                let chosen = self.value(field.as_str())?;
                let options = &self.field(field.as_str())?.options;
                options.iter().find(|option| option.id == chosen)?.attribute(attribute)
            }
        }
    }
}
