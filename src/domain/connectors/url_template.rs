//! Templates of `https` addresses.
//!
//! Values are percent-encoded for their position. Which fields may be part of the host is decided when the
//! file is loaded, so no value can send a request to another host.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::{
    FieldId,
    context::Context,
    field::Field,
    format::FieldFormat,
    template::{Part, Reference, Resolve, Template},
};
use crate::domain::form_errors::FormError;

/// All except the unreserved characters of RFC 3986 section 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why the values don't make a valid address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError {
    /// The field at fault; `None` if the template refers to no field.
    pub field: Option<FieldId>,
    /// A sentence for the person who fills in the form.
    pub reason: String,
}

#[derive(Debug, Clone)]
pub struct UrlTemplate {
    template: Template,
    /// The position of each part of the template, in the same order.
    positions: Vec<Position>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The value is the beginning of the address, including the host.
    Start,
    Host,
    Path,
    Query,
}

impl UrlTemplate {
    /// Checks the template against the fields it may refer to. The error says what is wrong.
    pub fn parse(source: &str, fields: &[Field]) -> Result<Self, String> {
        let template = Template::parse(source)?;
        let mut positions = Vec::with_capacity(template.parts.len());
        let mut position = Position::Host;
        for (index, part) in template.parts.iter().enumerate() {
            match part {
                Part::Literal(literal) => {
                    let mut text = literal.as_str();
                    if index == 0 {
                        text = text.strip_prefix("https://").ok_or("an address must begin with https://")?;
                        // A parser skips more slashes, and then what stands in the path is the host.
                        if text.starts_with(['/', '?']) {
                            return Err("an address must have a host after https://".into());
                        }
                    }
                    check_literal(text)?;
                    positions.push(position);
                    for c in text.chars() {
                        position = match (position, c) {
                            (_, '#') => return Err("an address must not have a fragment".into()),
                            (Position::Host, '@') => return Err("an address must not have user information".into()),
                            (Position::Host | Position::Start, '/') => Position::Path,
                            (Position::Host | Position::Start | Position::Path, '?') => Position::Query,
                            (Position::Start, _) => return Err("what follows a whole address must begin with `/` or `?`".into()),
                            (before, _) => before,
                        };
                    }
                }
                Part::Value(alternatives) => {
                    if index == 0 {
                        position = Position::Start;
                    }
                    for reference in alternatives {
                        check_reference(reference, position, fields)?;
                        let whole =
                            position != Position::Host || !is_host(reference, fields) || stands_alone(&template.parts, index);
                        if !whole {
                            return Err("a field of format host must be the whole host".into());
                        }
                    }
                    positions.push(position);
                }
            }
        }
        if template.parts.is_empty() {
            return Err("an address must begin with https://".into());
        }
        if template.references().next().is_none() && Url::parse(source).is_err() {
            return Err("this is not a valid address".into());
        }
        Ok(Self { template, positions })
    }

    /// As it's written in the file.
    pub fn source(&self) -> &str {
        self.template.source()
    }

    /// The fields that decide the host.
    pub fn host_fields(&self) -> Vec<FieldId> {
        let mut fields: Vec<FieldId> = self.host_references().filter_map(Reference::field).cloned().collect();
        fields.dedup();
        fields
    }

    /// True when what was typed into a field stands in the host, and not only what an option stands for.
    pub fn host_is_typed(&self) -> bool {
        self.host_references().any(|reference| matches!(reference, Reference::Field(_)))
    }

    /// The fields whose options decide on the host.
    pub fn host_choices(&self) -> Vec<FieldId> {
        let choices = self.host_references().filter(|reference| matches!(reference, Reference::Attribute(..)));
        choices.filter_map(Reference::field).cloned().collect()
    }

    fn host_references(&self) -> impl Iterator<Item = &Reference> {
        let parts = self.template.parts.iter().zip(&self.positions);
        parts.flat_map(|(part, position)| match (part, position) {
            (Part::Value(alternatives), Position::Host | Position::Start) => alternatives.as_slice(),
            _ => &[],
        })
    }

    /// Everything it names.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.template.references()
    }

    /// True if fields choose the domain, and not only a label below a domain that the file names.
    pub fn host_is_free(&self) -> bool {
        // The part of the host after the last value that a field chooses.
        let mut behind: Option<String> = None;
        for (part, position) in self.template.parts.iter().zip(&self.positions) {
            match (part, position) {
                (Part::Value(_), Position::Start) => return true,
                (Part::Value(alternatives), Position::Host) => {
                    let chosen = alternatives.iter().any(|one| matches!(one, Reference::Field(_)));
                    match &mut behind {
                        _ if chosen => behind = Some(String::new()),
                        // An attribute is fixed in the file, and is a whole domain.
                        Some(text) => text.push_str(".domain.of.the.file"),
                        None => {}
                    }
                }
                (Part::Literal(literal), Position::Host) => {
                    if let Some(text) = &mut behind {
                        text.push_str(literal.split(['/', '?']).next().unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        behind.is_some_and(|text| text.split('.').skip(1).filter(|label| !label.is_empty()).count() < 2)
    }

    pub fn render(&self, context: &Context<'_>) -> Result<Url, RenderError> {
        let mut text = String::new();
        let mut blamed = None;
        for (part, position) in self.template.parts.iter().zip(&self.positions) {
            let alternatives = match part {
                Part::Literal(literal) => {
                    text.push_str(literal);
                    continue;
                }
                Part::Value(alternatives) => alternatives,
            };
            let at_fault = alternatives.iter().find_map(Reference::field);
            blamed = blamed.or(at_fault);
            let value = alternatives.iter().find_map(|one| context.resolve(one)).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| missing(alternatives, context))?;
            match position {
                // Keep a trailing slash if it's part of the address, but not if a path follows.
                Position::Start if self.template.parts.len() == 1 => text.push_str(value),
                Position::Start => text.push_str(value.trim_end_matches('/')),
                Position::Host => text.push_str(value),
                Position::Path if value.bytes().all(|b| b == b'.') => {
                    return Err(error(at_fault, FormError::OnlyDots.say()));
                }
                Position::Path | Position::Query => {
                    // Writing to a String can't fail.
                    let _ = write!(text, "{}", utf8_percent_encode(value, ESCAPED));
                }
            }
        }
        let url = Url::parse(&text).ok().filter(|url| url.scheme() == "https" && url.host().is_some());
        url.ok_or_else(|| error(blamed, FormError::NoAddress.say()))
    }

    /// For showing while a form is filled in, with `…` in place of a missing value.
    pub fn preview(&self, context: &Context<'_>) -> String {
        let mut text = String::new();
        for part in &self.template.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Value(alternatives) => {
                    let value = alternatives.iter().find_map(|one| context.resolve(one)).filter(|value| !value.is_empty());
                    text.push_str(value.unwrap_or("…"));
                }
            }
        }
        text
    }
}

/// Names the field, and the choice that made its value necessary.
fn missing(alternatives: &[Reference], context: &Context<'_>) -> RenderError {
    let chosen = alternatives.iter().find_map(|reference| match reference {
        Reference::Attribute(field, _) => {
            let field = context.field(field.as_str())?;
            let option = field.options.iter().find(|option| Some(option.id.as_str()) == context.value(field.id.as_str()))?;
            Some((field.label.as_str(), option.label.as_str()))
        }
        _ => None,
    });
    let field = alternatives.iter().find_map(Reference::field);
    match chosen {
        Some((label, option)) => error(field, FormError::ValueMissingForChoice.with(&[("choice", label), ("option", option)])),
        None => error(field, FormError::ValueMissing.say()),
    }
}

fn error(field: Option<&FieldId>, reason: String) -> RenderError {
    RenderError { field: field.cloned(), reason }
}

fn is_host(reference: &Reference, fields: &[Field]) -> bool {
    matches!(reference, Reference::Field(id) if fields.iter().any(|field| field.id == *id && field.format == FieldFormat::Host))
}

/// True if the part is everything between `https://` and the path.
fn stands_alone(parts: &[Part], index: usize) -> bool {
    let before = matches!(&parts[..index], [Part::Literal(literal)] if literal == "https://");
    let behind = match parts.get(index + 1) {
        None => true,
        Some(Part::Literal(literal)) => literal.starts_with(['/', '?']),
        Some(Part::Value(_)) => false,
    };
    before && behind
}

/// Parsers take a backslash for a slash, leave out control characters, and decode what a value may have completed.
fn check_literal(text: &str) -> Result<(), String> {
    if text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return Err("an address must not have a backslash, blank or control character".into());
    }
    let mut encoded = text.split('%').skip(1).map(|rest| rest.as_bytes().get(..2));
    if encoded.any(|digits| !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))) {
        return Err("a `%` must be followed by two hexadecimal digits".into());
    }
    Ok(())
}

/// Whether a reference is allowed at a position of an address.
fn check_reference(reference: &Reference, position: Position, fields: &[Field]) -> Result<(), String> {
    let Some(id) = reference.field() else {
        return Err("the access token must not stand in an address".into());
    };
    // A check for all templates reports unknown fields.
    let Some(field) = fields.iter().find(|field| field.id == *id) else { return Ok(()) };
    if field.secret {
        return Err(format!("the secret `{id}` must not stand in an address, which logs and proxies keep"));
    }
    match (position, reference) {
        (Position::Start, Reference::Field(_)) if field.format == FieldFormat::HttpsUrl => Ok(()),
        (Position::Start, _) => Err(format!("an address may begin only with a field of format https-url, and `{id}` is not")),
        (Position::Host, Reference::Field(_)) if field.format.stays_in_label() || field.format == FieldFormat::Host => Ok(()),
        (Position::Host, Reference::Attribute(_, attribute)) => {
            for option in &field.options {
                let value = option.attribute(attribute).unwrap_or_default();
                if !value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-') {
                    return Err(format!("`{id}.{attribute}` of option `{}` is not a host name", option.id));
                }
            }
            Ok(())
        }
        (Position::Host, _) => {
            Err(format!("a part of the host is fed by `{id}`, whose format {} could leave its label", field.format.as_str()))
        }
        (Position::Path | Position::Query, _) => Ok(()),
    }
}
