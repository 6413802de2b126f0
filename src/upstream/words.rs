//! The service's own words, made fit to be shown and kept: nothing that draws or hides, nothing of
//! the credential, nothing longer than it needs to be.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::domain::{
    connector::{CLIENT_ID, CLIENT_SECRET, Connector},
    naming::is_unseen,
    values::FieldValues,
    verification::{SERVICE_WORDS_MAX, ServiceWords},
};

/// All but the unreserved characters of RFC 3986 section 2.3.
const PERCENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The longest media type that is kept.
const CONTENT_TYPE_MAX: usize = 100;
/// A shorter plain value is too likely to be part of an ordinary word.
const PLAIN_MIN: usize = 3;

/// Takes a credential's values out of texts. Secrets go in every form in which a request carries
/// them; other values, which are sealed at rest too, give way to the label of their field.
pub(super) struct Redactor {
    /// What to look for, the longest first.
    secrets: Vec<Zeroizing<String>>,
    /// Value and label.
    plain: Vec<(Zeroizing<String>, String)>,
}

impl Redactor {
    pub(super) fn new(connector: &Connector, values: &FieldValues, access_token: Option<&SecretString>) -> Self {
        let mut secrets = Vec::new();
        for secret in values.secrets().chain(access_token) {
            forms_of(secret.expose_secret(), &mut secrets);
        }
        if let (Some(id), Some(secret)) = (values.expose(CLIENT_ID), values.expose(CLIENT_SECRET)) {
            for pair in [raw_pair(id, secret), form_pair(id, secret)] {
                forms_of(&pair, &mut secrets);
            }
        }
        secrets.retain(|form| !form.is_empty());
        secrets.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let plain = values.iter().filter_map(|(id, _)| {
            let field = connector.field(id.as_str())?;
            let value = values.plain(id.as_str())?;
            let own = field.options.is_empty() && field.default.as_deref() != Some(value) && value.chars().count() >= PLAIN_MIN;
            own.then(|| (Zeroizing::new(value.to_owned()), field.label.clone()))
        });
        let mut plain: Vec<_> = plain.collect();
        plain.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { secrets, plain }
    }

    /// The text as it may be shown: at most `most` characters.
    pub(super) fn clean(&self, text: &str, most: usize) -> String {
        let mut text: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !hides(*c)).collect();
        for form in &self.secrets {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), "[redacted]");
            }
        }
        for (value, label) in &self.plain {
            text = replace_word(&text, value, label);
        }
        cut(text.trim(), most)
    }

    /// What an answer says, with the parts that RFC 6749 section 5.2 names, or the nearest to them.
    pub(super) fn words(&self, status: u16, headers: &HeaderMap, json: Option<&Value>) -> ServiceWords {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let at = |pointer: &str| json.and_then(|json| json.pointer(pointer)).and_then(text).filter(|text| !text.trim().is_empty());
        let first =
            |pointers: &[&str]| pointers.iter().find_map(|pointer| at(pointer)).map(|text| self.clean(&text, SERVICE_WORDS_MAX));
        ServiceWords {
            status: Some(status),
            error: first(&["/error", "/error/code", "/error/type", "/code"]),
            description: first(&[
                "/error_description",
                "/error/message",
                "/error/description",
                "/message",
                "/detail",
                "/description",
                "/title",
                "/errors/0/message",
            ]),
            content_type: content_type(headers).map(|text| self.clean(&text, CONTENT_TYPE_MAX)),
        }
    }
}

/// The media type of an answer, without parameters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
}

/// `id:secret` as it stands in a Basic header that does not encode.
pub(super) fn raw_pair(id: &str, secret: &str) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::with_capacity(id.len() + secret.len() + 1));
    pair.push_str(id);
    pair.push(':');
    pair.push_str(secret);
    pair
}

/// `id:secret`, each encoded first, as RFC 6749 section 2.3.1 asks for.
pub(super) fn form_pair(id: &str, secret: &str) -> Zeroizing<String> {
    raw_pair(&form_encoded(id), &form_encoded(secret))
}

fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * 3));
    encoded.extend(form_urlencoded::byte_serialize(text.as_bytes()));
    encoded
}

/// A secret in the forms in which it could come back.
fn forms_of(secret: &str, forms: &mut Vec<Zeroizing<String>>) {
    if secret.is_empty() {
        return;
    }
    let percent = utf8_percent_encode(secret, PERCENT).to_string();
    let form = form_encoded(secret);
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let json = Value::from(secret).to_string();
    forms.push(Zeroizing::new(secret.to_owned()));
    forms.push(Zeroizing::new(lower_hex(&percent)));
    forms.push(Zeroizing::new(lower_hex(&form)));
    forms.push(Zeroizing::new(percent));
    forms.push(form);
    forms.push(Zeroizing::new(html));
    forms.push(Zeroizing::new(json[1..json.len() - 1].to_owned()));
    for engine in [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD] {
        forms.push(Zeroizing::new(engine.encode(secret)));
    }
    forms.push(Zeroizing::new(secret.bytes().map(|byte| format!("{byte:02x}")).collect()));
}

/// Percent-encoding with its hexadecimal digits in lower case, which servers write too.
fn lower_hex(encoded: &str) -> String {
    let mut digits = 0;
    let lower = encoded.chars().map(|c| {
        if c == '%' {
            digits = 2;
            return c;
        }
        let is_digit = digits > 0;
        digits = if is_digit { digits - 1 } else { 0 };
        if is_digit { c.to_ascii_lowercase() } else { c }
    });
    lower.collect()
}

/// Replaces a value where it stands as a word of its own.
fn replace_word(text: &str, value: &str, label: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let before = rest[..at].chars().next_back().or_else(|| replaced.chars().next_back());
        let after = rest[at + value.len()..].chars().next();
        let alone = !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
        replaced.push_str(&rest[..at]);
        if alone {
            replaced.push('[');
            replaced.push_str(label);
            replaced.push(']');
        } else {
            replaced.push_str(value);
        }
        rest = &rest[at + value.len()..];
    }
    replaced.push_str(rest);
    replaced
}

/// Characters that cannot be seen, or change how others are seen.
fn hides(c: char) -> bool {
    is_unseen(c)
        || matches!(c, '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFB}')
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests;
