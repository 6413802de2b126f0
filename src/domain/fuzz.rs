//! The fuzz targets of this layer; see `crate::fuzz`.

use std::{borrow::Cow, time::Duration};

use percent_encoding::percent_decode;
use secrecy::{ExposeSecret, SecretString};

use super::{
    api_keys::{ApiKeyText, EXPIRY_DAYS_MAX, KEY_LENGTH, Scopes, parse_expiry},
    connectors::{
        CLIENT_ID, CLIENT_SECRET, Connector, FieldId,
        context::Context,
        file,
        format::FieldFormat,
        template::{Part, Reference, Template},
        url_template::UrlTemplate,
    },
    credentials::{
        form::{RawForm, keep, parse},
        values::{FieldValue, FieldValues},
    },
    resources::request_path::{PATH_MAX, RequestPath},
    telemetry::trace_context::TraceContext,
    time::Timestamp,
};

/// A connector with a field of each format, for forms and addresses.
const CONNECTOR: &str = r#"
id = "any"
name = "Any Service"
summary = "For tests"
used_for = ["source"]
section = "Client"
guide = "any.md"
account = "{label}"
field = [
    { id = "client_id", label = "Client ID" },
    { id = "client_secret", label = "Client Secret", secret = true },
    { id = "label", label = "Account", format = "dns-label", suffix = ".{region.domain}", accept_hosts = ["old.example.org"] },
    { id = "region", label = "Region", default = "one", options = { one = { label = "One", domain = "one.example.com" }, two = { label = "Two", domain = "two.example.net" } } },
    { id = "host", label = "Host", format = "host", optional = true },
    { id = "address", label = "Address", format = "https-url", optional = true, max_length = 100 },
    { id = "tenant", label = "Tenant", format = "uuid", optional = true },
    { id = "number", label = "Number", format = "digits", optional = true },
    { id = "path", label = "Path", default = "v1" },
]
[token]
grant = "client_credentials"
url = "https://{label}.{region.domain}/{path}/token"
lifetime = "10m"
[api]
base_url = "https://{host|region.domain}/{path}"
authorization = "Bearer {access_token}"
"#;

fn text(input: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(input)
}

fn connector() -> Connector {
    file::read("any.toml", CONNECTOR).unwrap_or_else(|error| panic!("{error}")).connector
}

/// API keys, their scopes, and when they end.
pub(crate) fn api_key(input: &[u8]) {
    let text = text(input);
    if let Some(key) = ApiKeyText::parse(&text) {
        assert_eq!(key.expose(), text);
        assert_eq!(key.hint(), format!("{}…", &text[..7]), "a hint shows no more");
        for at in 0..KEY_LENGTH {
            let mut wrong = text.to_string();
            wrong.replace_range(at..=at, if &text[at..=at] == "0" { "1" } else { "0" });
            assert!(ApiKeyText::parse(&wrong).is_none(), "a wrong character at {at} passes");
        }
    }
    if let Some(bytes) = input.first_chunk() {
        let made = ApiKeyText::from_bytes(bytes);
        assert!(ApiKeyText::parse(made.expose()).is_some_and(|read| read.expose() == made.expose()));
    }
    if let Some(scopes) = Scopes::parse(&text) {
        assert!(scopes.iter().next().is_some());
        assert_eq!(Scopes::parse(&scopes.to_words()), Some(scopes));
    }
    let now = Timestamp::from_millis(1_795_536_000_000);
    match parse_expiry(&text, now) {
        Ok(None) => assert_eq!(text.trim(), "never"),
        Ok(Some(end)) => assert!(end > now && end <= now.plus(Duration::from_secs(EXPIRY_DAYS_MAX * 86_400))),
        Err(message) => assert!(message.ends_with('.')),
    }
}

/// The paths of requests that are forwarded.
pub(crate) fn request_path(input: &[u8]) {
    let text = text(input);
    let path = format!("/{}", text.split(['?', '#']).next().unwrap_or_default());
    let Ok(settled) = RequestPath::settle(&path) else { return };
    let settled = settled.as_str();
    assert!(settled.len() <= PATH_MAX && settled.starts_with('/') && settled.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(RequestPath::settle(settled).as_ref().map(RequestPath::as_str), Ok(settled), "settling again changes it");
    assert!(percent_decode(path.as_bytes()).eq(percent_decode(settled.as_bytes())), "it means something else");
    let mut reading = settled.as_bytes().to_vec();
    for _ in 0..12 {
        let goes_up = reading
            .split(|byte| matches!(byte, b'/' | b'\\'))
            .any(|segment| matches!(segment.split(|byte| *byte == b';').next(), Some(b"." | b"..")));
        assert!(!goes_up, "a server can read it as {}", reading.escape_ascii());
        reading = percent_decode(&reading).collect();
    }
    // A parser of addresses finds the same path.
    let address = url::Url::parse(&format!("https://api.example{settled}"));
    let found = address.as_ref().map(url::Url::path).unwrap_or_default();
    assert!(percent_decode(found.as_bytes()).eq(percent_decode(settled.as_bytes())), "{settled} is read as {found}");
}

/// Texts of connector files with values in them.
pub(crate) fn template(input: &[u8]) {
    let text = text(input);
    match Template::parse(&text) {
        Ok(template) => {
            assert_eq!(template.source(), text);
            assert_eq!(written(&template), text, "its parts are not what was written");
            let connector = connector();
            let values = FieldValues::default();
            let context = Context::new(&connector.fields, &values);
            let plain = template.render_plain(&context);
            if let Some(rendered) = template.render(&context) {
                assert_eq!(rendered.expose_secret(), plain);
            }
        }
        Err(reason) => assert!(!reason.is_empty() && text.contains(['{', '}'])),
    }
}

fn written(template: &Template) -> String {
    let name = |reference: &Reference| match reference {
        Reference::AccessToken => "access_token".to_owned(),
        Reference::Field(field) => field.as_str().to_owned(),
        Reference::Attribute(field, attribute) => format!("{}.{attribute}", field.as_str()),
    };
    let part = |part: &Part| match part {
        Part::Literal(literal) => literal.clone(),
        Part::Value(alternatives) => format!("{{{}}}", alternatives.iter().map(name).collect::<Vec<_>>().join("|")),
    };
    template.parts.iter().map(part).collect()
}

/// Templates of addresses: the first line is the template, the others are values, such as `label=acme`.
pub(crate) fn url_template(input: &[u8]) {
    let text = text(input);
    let (source, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let connector = connector();
    let Ok(template) = UrlTemplate::parse(source, &connector.fields) else { return };
    assert_eq!(template.source(), source);
    // The same choices, with other values in the fields that are free.
    let (mut values, mut others) = (FieldValues::default(), FieldValues::default());
    for line in rest.lines() {
        let Some((field, typed)) = line.split_once('=') else { continue };
        let Some(field) = connector.field(field) else { continue };
        let Ok(value) = field.format.normalise(typed) else { continue };
        if field.options.is_empty() {
            let other = match field.format {
                FieldFormat::DnsLabel | FieldFormat::Text | FieldFormat::Enum => "acme",
                FieldFormat::Host => "api.example.com",
                FieldFormat::HttpsUrl => "https://api.example.com/base",
                FieldFormat::Uuid => "0189f7ea-ae2f-7809-8aeb-b819cf5e9e7f",
                FieldFormat::Digits => "443",
            };
            others.insert(field.id.clone(), FieldValue::Plain(other.to_owned()));
        } else if field.options.iter().all(|option| option.id != value) {
            continue;
        } else {
            others.insert(field.id.clone(), FieldValue::Plain(value.clone()));
        }
        values.insert(field.id.clone(), FieldValue::Plain(value));
    }
    let Ok(url) = template.render(&Context::new(&connector.fields, &values)) else { return };
    assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
    let Ok(other) = template.render(&Context::new(&connector.fields, &others)) else { return };
    let host = url.host_str().unwrap_or_default();
    let other_host = other.host_str().unwrap_or_default();
    if template.host_fields().is_empty() {
        assert_eq!(host, other_host, "{source}: values move it from {other} to {url}");
    }
    if !template.host_is_free() {
        assert_eq!(domain(host), domain(other_host), "{source}: values move it from {other} to {url}");
        let depth = |url: &url::Url| url.path().matches('/').count();
        assert_eq!(depth(&url), depth(&other), "{source}: values change the path from {other} to {url}");
    }
}

fn domain(host: &str) -> Vec<&str> {
    host.rsplit('.').take(2).collect()
}

/// Connector files.
pub(crate) fn connector_file(input: &[u8]) {
    let text = text(input);
    match file::read("any.toml", &text) {
        Ok(read) => {
            let connector = read.connector;
            assert!(connector.field(CLIENT_ID).is_some() && connector.field(CLIENT_SECRET).is_some_and(|field| field.secret));
            assert!(!connector.used_for.is_empty() && !connector.badge.is_empty() && connector.badge.chars().count() <= 2);
            assert!((1..=365 * 86_400).contains(&connector.token.lifetime));
            assert!(connector.api.authorization.references().any(|reference| *reference == Reference::AccessToken));
            let is_secret = |reference: &Reference| {
                reference.field().is_none_or(|id| connector.field(id.as_str()).is_none_or(|field| field.secret))
            };
            let shown = connector.fields.iter().flat_map(|field| [&field.prefix, &field.suffix]).chain([&connector.account]);
            assert!(!shown.flat_map(Template::references).any(is_secret), "a secret would be shown");
            let urls = [&connector.token.url, &connector.api.base_url];
            assert!(!urls.into_iter().flat_map(UrlTemplate::references).any(is_secret), "a secret would be in an address");
            for (index, field) in connector.fields.iter().enumerate() {
                assert!(connector.fields[..index].iter().all(|earlier| earlier.id != field.id), "two fields have one id");
            }
            // What is asked for can be asked for.
            let _ = parse(&connector, &RawForm::default(), None).err().map(|errors| assert!(!errors.is_empty()));
        }
        Err(error) => {
            let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "{error}");
            assert!(error.file == "any.toml" && !error.key.is_empty() && !error.reason.is_empty(), "{error}");
        }
    }
}

/// The form of a credential, as a browser sends it.
pub(crate) fn credential_form(input: &[u8]) {
    let connector = connector();
    let raw = raw_form(&connector, form_urlencoded::parse(input).into_owned());
    let secret = raw.fields.get(&id(CLIENT_SECRET)).map_or("", |secret| secret.expose_secret()).trim().to_owned();
    let parsed = parse(&connector, &raw, None);
    let kept = keep(&connector, &raw, None);
    let input = match parsed {
        Ok(input) => input,
        Err(errors) => {
            assert!(!errors.is_empty());
            // What is said of another secret as well does not come from this one.
            let mut other = raw.clone();
            other.fields.insert(id(CLIENT_SECRET), SecretString::from("another"));
            let said_anyway = parse(&connector, &other, None).err().unwrap_or_default();
            for error in errors {
                assert!(error.field == "name" || error.field == "description" || connector.field(&error.field).is_some());
                // A short one can be part of a word.
                let shown = secret.len() >= 20 && error.message.contains(&secret) && !said_anyway.contains(&error);
                assert!(!shown, "the error of {} has the secret", error.field);
            }
            return;
        }
    };
    for (field, value) in input.values.iter() {
        let secret = connector.field(field.as_str()).is_some_and(|field| field.secret);
        assert_eq!(matches!(value, FieldValue::Secret(_)), secret, "{}", field.as_str());
    }
    let url = connector.token_url(&input.values).unwrap_or_else(|error| panic!("{error:?}"));
    let host = url.host_str().unwrap_or_default();
    assert!(host.ends_with(".one.example.com") || host.ends_with(".two.example.net"), "{url}");
    // What was read is read the same again, and from a draft that keeps the secret.
    let exposed =
        || input.values.iter().filter_map(|(id, _)| Some((id.as_str().to_owned(), input.values.expose(id.as_str())?.to_owned())));
    let named = [("name", input.name.as_str()), ("description", input.description.as_str())];
    let named = named.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let again = raw_form(&connector, exposed().chain(named.clone()));
    assert_same(&input.values, &parse(&connector, &again, None).map(|input| input.values));
    let without_secret = exposed().filter(|(id, _)| id != CLIENT_SECRET);
    let again = raw_form(&connector, without_secret.chain(named));
    assert_same(&input.values, &parse(&connector, &again, Some(&kept)).map(|input| input.values));
}

fn assert_same(values: &FieldValues, again: &Result<FieldValues, Vec<super::credentials::form::FieldError>>) {
    match again {
        Ok(again) => assert!(values.to_bytes() == again.to_bytes(), "the values change when they are read again"),
        Err(errors) => panic!("the values are refused when they are read again: {errors:?}"),
    }
}

fn raw_form(connector: &Connector, fields: impl Iterator<Item = (String, String)>) -> RawForm {
    let mut raw = RawForm::default();
    for (name, value) in fields {
        match name.as_str() {
            "name" => raw.name = value,
            "description" => raw.description = value,
            _ => {
                if let Some(field) = connector.field(&name) {
                    raw.fields.insert(field.id.clone(), SecretString::from(value));
                }
            }
        }
    }
    raw
}

fn id(name: &str) -> FieldId {
    FieldId::new(name).unwrap_or_else(|| panic!("{name}"))
}

/// The header that says which trace a request belongs to.
pub(crate) fn trace_context(input: &[u8]) {
    let Some(context) = TraceContext::parse(&text(input)) else { return };
    assert!(context.trace != [0; 16] && context.span != [0; 8]);
    let header = context.to_header();
    assert!(header.starts_with("00-") && header.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')));
    assert_eq!(TraceContext::parse(&header), Some(context));
    assert_eq!(header.as_bytes().get(3..52), input.get(3..52), "the ids are passed on as they came");
}
