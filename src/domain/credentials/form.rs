//! The credential form: from typed text to a [`CredentialInput`], or to an error for each field.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::values::{FieldValue, FieldValues};
use crate::domain::{
    connectors::{
        Connector, Field, FieldId,
        context::Context,
        format::{FieldFormat, pasted_host},
        template::Reference,
        url_template::RenderError,
    },
    form_errors::{FieldFault, FormError},
    naming::{Description, Name},
};

/// A form as it was submitted. All field values are kept as secrets until their field says otherwise.
#[derive(Default, Clone)]
pub struct RawForm {
    pub name: String,
    pub description: String,
    /// Only fields that the connector has.
    pub fields: BTreeMap<FieldId, SecretString>,
}

impl RawForm {
    /// Empty if nothing was typed.
    pub fn typed(&self, field: &FieldId) -> &str {
        self.fields.get(field).map_or("", |typed| typed.expose_secret())
    }
}

/// A form without errors.
pub struct CredentialInput {
    pub name: Name,
    pub description: Description,
    /// Normalised, including defaults.
    pub values: FieldValues,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The name in the form: `name`, `description` or a connector's field.
    pub field: String,
    /// A sentence that says what is wrong and what is expected.
    pub message: String,
    /// For API clients.
    pub code: FieldFault,
}

impl FieldError {
    /// With the code [`FieldFault::Invalid`].
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), code: FieldFault::Invalid }
    }

    /// An error of the table: its sentence and its word.
    pub fn of(field: impl Into<String>, error: FormError, parts: &[(&str, &str)]) -> Self {
        Self { field: field.into(), message: error.with(parts), code: error.fault() }
    }
}

impl From<RenderError> for FieldError {
    fn from(error: RenderError) -> Self {
        // Addresses that refer to no field are checked when the connector is loaded.
        Self::new(error.field.as_ref().map_or("name", FieldId::as_str), error.reason)
    }
}

/// What a draft keeps of an attempt: what was typed, including secrets, and where each secret was meant to
/// go.
#[derive(Default, Clone)]
pub struct Kept {
    /// As typed, without leading and trailing blanks.
    pub values: FieldValues,
    /// The destination that each secret was typed for, if it was known; see [`destination`].
    pub secrets_for: BTreeMap<FieldId, String>,
}

/// Where these values would send secrets: the origins of the addresses whose domain the fields choose. `None`
/// if such an address is incomplete; empty if the connector fixes every domain.
pub fn destination(connector: &Connector, values: &FieldValues) -> Option<String> {
    let context = Context::new(&connector.fields, values);
    let mut origins = String::new();
    for url in [&connector.token.url, &connector.api.base_url] {
        if url.host_is_free() {
            origins.push_str(&url.render(&context).ok()?.origin().ascii_serialization());
            origins.push('\n');
        }
    }
    Some(origins)
}

/// A secret left empty keeps the value and the destination of the attempt before.
pub fn keep(connector: &Connector, raw: &RawForm, before: Option<&Kept>) -> Kept {
    let mut kept = Kept::default();
    for field in &connector.fields {
        let typed = raw.typed(&field.id).trim();
        if !typed.is_empty() {
            kept.values.insert(field.id.clone(), wrap(field, typed.to_owned()));
        }
    }
    let destination = destination(connector, &meant(connector, &kept.values));
    for field in connector.fields.iter().filter(|field| field.secret) {
        let secrets_for = if kept.values.get(&field.id).is_some() {
            destination.clone()
        } else {
            let Some(before) = before else { continue };
            let Some(secret) = before.values.get(&field.id) else { continue };
            kept.values.insert(field.id.clone(), secret.clone());
            before.secrets_for.get(&field.id).cloned()
        };
        if let Some(secrets_for) = secrets_for {
            kept.secrets_for.insert(field.id.clone(), secrets_for);
        }
    }
    kept
}

/// What was typed as [`parse`] reads it, so that an address pasted or written in another way is the same destination. What
/// it refuses stays as it is.
fn meant(connector: &Connector, typed: &FieldValues) -> FieldValues {
    let mut meant = typed.clone();
    let mut implied = Vec::new();
    for field in connector.fields.iter().filter(|field| !field.secret) {
        let Some(typed) = typed.plain(field.id.as_str()) else { continue };
        match parse_field(connector, field, typed) {
            Ok(Parsed::Value(value)) => meant.insert(field.id.clone(), FieldValue::Plain(value)),
            Ok(Parsed::Implies(value, other, option)) => {
                meant.insert(field.id.clone(), FieldValue::Plain(value));
                implied.push((other, option));
            }
            Ok(Parsed::Empty) | Err(_) => {}
        }
    }
    for (field, option) in implied {
        meant.insert(field, FieldValue::Plain(option));
    }
    meant
}

/// Parses the form. A secret left empty is taken from `kept`, if it would go where it was meant to go.
pub fn parse(connector: &Connector, raw: &RawForm, kept: Option<&Kept>) -> Result<CredentialInput, Vec<FieldError>> {
    let mut errors = Vec::new();
    let name = Name::parse(&raw.name).map_err(|message| errors.push(FieldError::new("name", message)));
    let description = Description::parse(&raw.description).map_err(|message| errors.push(FieldError::new("description", message)));
    let mut values = FieldValues::default();
    let mut implied = Vec::new();
    let mut from_kept = Vec::new();
    for field in &connector.fields {
        let kept_value = kept.filter(|_| field.secret && raw.typed(&field.id).trim().is_empty());
        let kept_value = kept_value.and_then(|kept| kept.values.expose(field.id.as_str()));
        if kept_value.is_some() {
            from_kept.push(field);
        }
        match parse_field(connector, field, kept_value.unwrap_or_else(|| raw.typed(&field.id))) {
            Ok(Parsed::Value(value)) => values.insert(field.id.clone(), wrap(field, value)),
            Ok(Parsed::Implies(value, other, option)) => {
                values.insert(field.id.clone(), wrap(field, value));
                implied.push((other, option));
            }
            Ok(Parsed::Empty) if field.optional => {}
            Ok(Parsed::Empty) => {
                errors.push(FieldError::of(field.id.as_str(), FormError::FieldMissing, &[("field", &field.label)]));
            }
            Err(message) => errors.push(FieldError::new(field.id.as_str(), message)),
        }
    }
    for (field, option) in implied {
        values.insert(field, FieldValue::Plain(option));
    }
    if errors.is_empty() {
        check_addresses(connector, &values, &mut errors);
    }
    if let Some(kept) = kept {
        let destination = destination(connector, &values);
        for field in from_kept {
            let meant_for = kept.secrets_for.get(&field.id);
            if meant_for.is_some() && meant_for != destination.as_ref() {
                errors.push(FieldError::of(field.id.as_str(), FormError::SecretForOtherAddress, &[("field", &field.label)]));
            }
        }
    }
    match (name, description) {
        (Ok(name), Ok(description)) if errors.is_empty() => Ok(CredentialInput { name, description, values }),
        _ => Err(errors),
    }
}

enum Parsed {
    Empty,
    Value(String),
    /// A value, and an option of another field that the pasted address selects.
    Implies(String, FieldId, String),
}

fn wrap(field: &Field, value: String) -> FieldValue {
    if field.secret { FieldValue::Secret(value.into()) } else { FieldValue::Plain(value) }
}

fn parse_field(connector: &Connector, field: &Field, typed: &str) -> Result<Parsed, String> {
    if typed.trim().is_empty() {
        return Ok(field.default.clone().map_or(Parsed::Empty, Parsed::Value));
    }
    let length = typed.trim().chars().count();
    if length > field.max_length && field.format != FieldFormat::DnsLabel {
        let (most, count) = (field.max_length.to_string(), length.to_string());
        return Err(FormError::ValueTooLong.with(&[("most", &most), ("count", &count)]));
    }
    match field.format {
        FieldFormat::Enum => {
            let chosen = field.options.iter().find(|option| option.id == typed.trim());
            chosen.map(|option| Parsed::Value(option.id.clone())).ok_or_else(|| FormError::NotAnOption.say())
        }
        FieldFormat::DnsLabel => match pasted_host(typed.trim()) {
            Some(host) => from_pasted_host(connector, field, &host),
            None => field.format.normalise(typed).map(Parsed::Value),
        },
        _ => {
            let value = field.format.normalise(typed)?;
            // Encoding makes an address longer. A value over the limit could be stored, but not saved again.
            let length = value.chars().count();
            if length > field.max_length {
                return Err(format!("Use at most {} characters; encoded, this has {length}.", field.max_length));
            }
            Ok(Parsed::Value(value))
        }
    }
}

/// Extracts the label from a pasted address of the connector. Rejects any other host.
fn from_pasted_host(connector: &Connector, field: &Field, host: &str) -> Result<Parsed, String> {
    let label_before = |domain: &str| host.strip_suffix(domain.trim_start_matches('.'))?.strip_suffix('.');
    let mut example = None;
    for domain in std::iter::once(&field.suffix).chain(&field.accept_hosts) {
        // The domain may depend on an option of another field; then the address selects that option too.
        let chooser = domain.references().find_map(|reference| match reference {
            Reference::Attribute(other, attribute) => Some((connector.field(other.as_str())?, attribute)),
            _ => None,
        });
        let Some((other, attribute)) = chooser else {
            example = example.or_else(|| Some(domain.source().to_owned()));
            match label_before(domain.source()) {
                Some(label) => return field.format.normalise(label).map(Parsed::Value),
                None => continue,
            }
        };
        for option in other.options.iter().filter(|option| option.attribute(attribute).is_some()) {
            let mut values = FieldValues::default();
            values.insert(other.id.clone(), FieldValue::Plain(option.id.clone()));
            let domain = domain.render_plain(&Context::new(&connector.fields, &values));
            if let Some(label) = label_before(&domain) {
                let label = field.format.normalise(label)?;
                return Ok(Parsed::Implies(label, other.id.clone(), option.id.clone()));
            }
            example.get_or_insert(domain);
        }
    }
    let error = if example.is_some() { FormError::UnknownAddressSuchAs } else { FormError::UnknownAddress };
    let example = example.unwrap_or_default();
    let parts =
        [("host", host), ("service", &connector.name), ("field", &field.label), ("domain", example.trim_start_matches('.'))];
    Err(error.with(&parts))
}

/// Both addresses must be complete before anything is stored: the credential would be unusable without them.
fn check_addresses(connector: &Connector, values: &FieldValues, errors: &mut Vec<FieldError>) {
    let context = Context::new(&connector.fields, values);
    for url in [&connector.token.url, &connector.api.base_url] {
        if let Err(error) = url.render(&context) {
            errors.push(error.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connectors::file;

    fn connector(text: &str) -> Connector {
        file::read("test.toml", text).unwrap().connector
    }

    fn talkdesk() -> Connector {
        connector(include_str!("../../../connectors/talkdesk.toml"))
    }

    fn typed(fields: &[(&str, &str)]) -> RawForm {
        let mut raw = RawForm { name: "Support".into(), ..RawForm::default() };
        for (id, value) in [("client_id", "id"), ("client_secret", "secret"), ("account_name", "acme")].iter().chain(fields) {
            raw.fields.insert(FieldId::new(id).unwrap(), SecretString::from(*value));
        }
        raw
    }

    fn error_of(connector: &Connector, raw: &RawForm, field: &str) -> String {
        let Err(errors) = parse(connector, raw, None) else { panic!("no error for {field}") };
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].field, field, "{errors:?}");
        errors[0].message.clone()
    }

    fn token_url(connector: &Connector, raw: &RawForm) -> String {
        match parse(connector, raw, None) {
            Ok(input) => connector.token_url(&input.values).unwrap().to_string(),
            Err(errors) => panic!("{errors:?}"),
        }
    }

    #[test]
    fn a_pasted_address_becomes_the_account_and_its_region() {
        let talkdesk = talkdesk();
        for (pasted, url) in [
            ("https://Acme.talkdeskid.com/", "https://acme.talkdeskid.com/oauth/token"),
            ("acme.talkdeskid.com/oauth/token?x=1", "https://acme.talkdeskid.com/oauth/token"),
            ("https://acme.talkdeskid.eu", "https://acme.talkdeskid.eu/oauth/token"),
            ("acme.mytalkdesk.com", "https://acme.talkdeskid.com/oauth/token"),
            ("https://acme.mytalkdesk.eu/x", "https://acme.talkdeskid.eu/oauth/token"),
            (" ACME ", "https://acme.talkdeskid.com/oauth/token"),
        ] {
            assert_eq!(token_url(&talkdesk, &typed(&[("account_name", pasted)])), url);
        }
        for other in [
            "https://acme.example.com",
            "acme.talkdeskid.com.evil.example",
            "eviltalkdeskid.com",
            "https://talkdeskid.com",
            "a.b.talkdeskid.com",
        ] {
            error_of(&talkdesk, &typed(&[("account_name", other)]), "account_name");
        }
    }

    #[test]
    fn every_field_says_what_it_expects() {
        let talkdesk = talkdesk();
        assert!(error_of(&talkdesk, &typed(&[("client_id", " ")]), "client_id").contains("Enter the Client ID"));
        assert!(error_of(&talkdesk, &typed(&[("client_id", &"x".repeat(513))]), "client_id").contains("512"));
        assert!(error_of(&talkdesk, &typed(&[("client_secret", &"x".repeat(4097))]), "client_secret").contains("4096"));
        assert!(
            error_of(&talkdesk, &typed(&[("client_secret", "a\u{7}b")]), "client_secret")
                .contains("line break or invisible character")
        );
        assert!(error_of(&talkdesk, &typed(&[("account_name", &"x".repeat(64))]), "account_name").contains("63"));
        assert!(error_of(&talkdesk, &typed(&[("region", "mars")]), "region").contains("options"));
        assert!(error_of(&talkdesk, &typed(&[("region", "au")]), "api_host").contains("Australia"));
        assert!(parse(&talkdesk, &typed(&[("region", "au"), ("api_host", "api.example.com")]), None).is_ok());
        assert!(parse(&talkdesk, &typed(&[("client_id", &"x".repeat(512)), ("client_secret", &"é".repeat(4096))]), None).is_ok());
        let mut unnamed = typed(&[]);
        unnamed.name.clear();
        error_of(&talkdesk, &unnamed, "name");
    }

    #[test]
    fn a_kept_secret_fills_an_empty_field() {
        let talkdesk = talkdesk();
        let kept = keep(&talkdesk, &typed(&[("client_secret", " s3cret "), ("account_name", "a b")]), None);
        assert_eq!(kept.values.plain("account_name"), Some("a b"));
        let again = typed(&[("client_secret", "")]);
        let input = parse(&talkdesk, &again, Some(&kept)).ok().unwrap();
        assert_eq!(input.values.expose("client_secret"), Some("s3cret"));
        let replaced = parse(&talkdesk, &typed(&[("client_secret", "new")]), Some(&kept)).ok().unwrap();
        assert_eq!(replaced.values.expose("client_secret"), Some("new"));
        let wrong = keep(&talkdesk, &typed(&[("client_secret", "a\u{7}b")]), None);
        assert!(parse(&talkdesk, &again, Some(&wrong)).is_err(), "a kept secret is checked like a typed one");
    }

    #[test]
    fn a_kept_secret_goes_only_where_it_was_meant_to_go() {
        let generic = connector(include_str!("../../../connectors/oauth2-client-credentials.toml"));
        let form = |url: &str, secret: &str| {
            typed(&[("token_url", url), ("api_base_url", "https://api.example"), ("client_secret", secret)])
        };
        let first = keep(&generic, &form("https://id.example/token", "s3cret"), None);
        assert!(parse(&generic, &form("https://id.example/oauth/token", ""), Some(&first)).is_ok());
        for other in ["https://evil.example/token", "https://id.example:8443/token", "evil"] {
            let changed = form(other, "");
            // However often the changed form is sent, and whatever is kept in between.
            let mut kept = first.clone();
            for _ in 0..3 {
                let Err(errors) = parse(&generic, &changed, Some(&kept)) else { panic!("{other}") };
                assert!(errors.iter().any(|error| error.field == "client_secret"), "{other}: {errors:?}");
                kept = keep(&generic, &changed, Some(&kept));
            }
            assert!(parse(&generic, &form("https://id.example/token", ""), Some(&kept)).is_ok(), "back where it was meant to go");
            if other != "evil" {
                assert!(parse(&generic, &form(other, "typed again"), Some(&kept)).is_ok());
            }
        }
        // The API receives the token that the secret buys, so its address counts too.
        let api = |url: &str| typed(&[("token_url", "https://id.example/token"), ("api_base_url", url), ("client_secret", "")]);
        assert!(parse(&generic, &api("https://evil.example"), Some(&first)).is_err());
        assert!(parse(&generic, &api("https://api.example/v2"), Some(&first)).is_ok());
        let talkdesk = talkdesk();
        let kept = keep(&talkdesk, &typed(&[]), None);
        assert!(
            parse(&talkdesk, &typed(&[("client_secret", ""), ("account_name", "other")]), Some(&kept)).is_ok(),
            "the domain is TalkDesk's"
        );
        assert!(parse(&talkdesk, &typed(&[("client_secret", ""), ("api_host", "evil.example")]), Some(&kept)).is_err());
    }

    #[test]
    fn a_kept_secret_goes_to_the_same_address_however_it_is_written() {
        let talkdesk = talkdesk();
        let form = |host: &str, secret: &str| typed(&[("api_host", host), ("client_secret", secret)]);
        for written in ["https://API.example.com/x", "api.example.com.", " api.example.com "] {
            let kept = keep(&talkdesk, &form(written, "s3cret"), None);
            assert!(parse(&talkdesk, &form(written, ""), Some(&kept)).is_ok(), "{written}");
            assert!(parse(&talkdesk, &form("api.example.com", ""), Some(&kept)).is_ok(), "{written}");
            assert!(parse(&talkdesk, &form("evil.example", ""), Some(&kept)).is_err(), "{written}");
        }
    }

    #[test]
    fn an_address_is_not_longer_than_its_field_once_it_is_encoded() {
        let generic = connector(include_str!("../../../connectors/oauth2-client-credentials.toml"));
        let form = |length: usize| {
            let url = format!("https://id.example/{}", "é".repeat(length));
            typed(&[("token_url", &url), ("api_base_url", "https://api.example")])
        };
        assert!(parse(&generic, &form(80), None).is_ok());
        assert!(error_of(&generic, &form(400), "token_url").contains("encoded, this has 2419"));
    }

    #[test]
    fn nothing_typed_is_cut() {
        let kept = keep(&talkdesk(), &typed(&[("client_id", &"x".repeat(50_000))]), None);
        assert_eq!(kept.values.plain("client_id").unwrap().len(), 50_000);
    }
}
