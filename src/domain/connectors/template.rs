//! Texts of a connector file that contain values: `{field}`, `{field.attribute}`, `{access_token}`.
//!
//! `{a|b.c}` is the first alternative that has a value. Addresses have a stricter kind of template; see
//! [`super::url_template`].

use secrecy::SecretString;

use super::FieldId;

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

/// Where a template reads its values from.
pub trait Resolve {
    /// The value that a reference stands for, exposed; `None` where there is none.
    fn resolve(&self, reference: &Reference) -> Option<&str>;
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

    /// The text with its values; `None` if one of them is missing.
    pub fn render(&self, values: &impl Resolve) -> Option<SecretString> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Value(alternatives) => text.push_str(alternatives.iter().find_map(|one| values.resolve(one))?),
            }
        }
        Some(text.into())
    }

    /// The text as it is shown: a missing value is left out. The loader refuses secrets in what is shown.
    pub fn render_plain(&self, values: &impl Resolve) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Value(alternatives) => {
                    text.push_str(alternatives.iter().find_map(|one| values.resolve(one)).unwrap_or_default());
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
