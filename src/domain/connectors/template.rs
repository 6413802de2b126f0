//! Texts of a connector file that contain values: `{field}`, `{field.attribute}`, `{access_token}`.
//!
//! `{a|b.c}` is the first alternative that has a value. Addresses have a stricter kind of template; see
//! [`super::url_template`].

use secrecy::{ExposeSecret, SecretString};

use super::{Connector, FieldId};
use crate::domain::credentials::values::FieldValues;

/// The name by which a template refers to the access token.
pub const ACCESS_TOKEN: &str = "access_token";

#[derive(Debug, Clone, Default)]
pub struct Template {
    source: String,
    pub(in crate::domain) parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub(in crate::domain) enum Part {
    Literal(String),
    /// The first alternative that has a value.
    Value(Vec<Reference>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `{access_token}`.
    AccessToken,
    /// `{field}`.
    Field(FieldId),
    /// `{field.attribute}`.
    Attribute(FieldId, String),
}

/// The values that a template is rendered with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub(in crate::domain) connector: &'a Connector,
    values: &'a FieldValues,
    access_token: Option<&'a SecretString>,
}

impl<'a> Context<'a> {
    /// Uses a credential's values, or a field's default where it has none.
    pub fn new(connector: &'a Connector, values: &'a FieldValues) -> Self {
        Self { connector, values, access_token: None }
    }

    pub fn with_access_token(self, token: &'a SecretString) -> Self {
        Self { access_token: Some(token), ..self }
    }

    /// The value of a field or its default. Exposed, even if it's a secret.
    pub fn value(&self, field: &str) -> Option<&'a str> {
        let value = self.values.expose(field).filter(|value| !value.is_empty());
        value.or_else(|| self.connector.field(field)?.default.as_deref())
    }

    pub(in crate::domain) fn resolve(&self, reference: &Reference) -> Option<&'a str> {
        match reference {
            Reference::AccessToken => self.access_token.map(|token| token.expose_secret()),
            Reference::Field(field) => self.value(field.as_str()),
            Reference::Attribute(field, attribute) => {
                let chosen = self.value(field.as_str())?;
                let options = &self.connector.field(field.as_str())?.options;
                options.iter().find(|option| option.id == chosen)?.attribute(attribute)
            }
        }
    }
}

impl Template {
    /// The error says what is wrong with the template.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some(open) = rest.find(['{', '}']) {
            if rest[open..].starts_with('}') {
                return Err("a `}` without its `{`".into());
            }
            if open > 0 {
                parts.push(Part::Literal(rest[..open].to_owned()));
            }
            let (inside, after) = rest[open + 1..].split_once('}').ok_or("a `{` without its `}`")?;
            if inside.contains('{') {
                return Err("a `{` without its `}`".into());
            }
            parts.push(Part::Value(inside.split('|').map(Reference::parse).collect::<Result<_, _>>()?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// As it's written in the file.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().flat_map(|part| match part {
            Part::Literal(_) => [].iter(),
            Part::Value(alternatives) => alternatives.iter(),
        })
    }

    /// `None` if a value is missing.
    pub fn render(&self, context: &Context<'_>) -> Option<SecretString> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Value(alternatives) => text.push_str(alternatives.iter().find_map(|one| context.resolve(one))?),
            }
        }
        Some(text.into())
    }

    /// For showing: a missing value is left out. The loader rejects secrets in templates that are shown.
    pub fn render_plain(&self, context: &Context<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Value(alternatives) => {
                    text.push_str(alternatives.iter().find_map(|one| context.resolve(one)).unwrap_or_default());
                }
            }
        }
        text
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, String> {
        let id = |name: &str| FieldId::new(name).ok_or_else(|| format!("`{{{text}}}` does not name a field"));
        match text.split_once('.') {
            None if text == ACCESS_TOKEN => Ok(Self::AccessToken),
            None => Ok(Self::Field(id(text)?)),
            Some((field, attribute)) => Ok(Self::Attribute(id(field)?, attribute.to_owned())),
        }
    }

    /// `None` for the access token.
    pub fn field(&self) -> Option<&FieldId> {
        match self {
            Self::AccessToken => None,
            Self::Field(field) | Self::Attribute(field, _) => Some(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_template_or_is_refused(source in prop_oneof!["\\PC{0,80}", "[{}|.a_ ]{0,30}"]) {
            match Template::parse(&source) {
                Ok(template) => {
                    prop_assert_eq!(template.source(), source.as_str());
                    // All text outside of braces is kept, and nothing inside them.
                    let literal: String = template.parts.iter().map(|part| match part {
                        Part::Literal(literal) => literal.as_str(),
                        Part::Value(_) => "{}",
                    }).collect();
                    prop_assert_eq!(literal.matches('{').count(), source.matches('{').count());
                    prop_assert!(template.parts.iter().all(|part| !matches!(part, Part::Value(names) if names.is_empty())));
                }
                Err(reason) => prop_assert!(source.contains(['{', '}']) && !reason.is_empty(), "refused for nothing"),
            }
        }
    }
}
