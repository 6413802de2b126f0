//! Makes text of a service safe to show and keep: no control or invisible characters, no values of the credential,
//! and no more than a maximum length.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use zeroize::Zeroizing;

use super::secret_scanner::Search;
use crate::{
    domain::{
        connectors::{CLIENT_ID, CLIENT_SECRET, Connector},
        credentials::{
            values::FieldValues,
            verification::{SERVICE_WORDS_MAX, ServiceWords},
        },
        naming::is_unseen,
    },
    upstream::oauth::encodings::{form_pair, forms_of, raw_pair},
};

/// The longest media type that is kept, in characters.
const CONTENT_TYPE_MAX: usize = 100;
/// Shorter plain values are too likely to be part of an ordinary word.
const PLAIN_MIN: usize = 3;

/// Removes a credential's values from what a service sends. Secrets are removed in every form in which a request
/// carries them. In messages, the other values, which are sealed at rest too, are replaced by the label of their
/// field.
pub(in crate::upstream) struct Redactor {
    secrets: Search,
    /// Each value, normalized like the text it is searched in, and its label.
    plain: Vec<(Zeroizing<String>, String)>,
}

impl Redactor {
    pub(in crate::upstream) fn new(connector: &Connector, values: &FieldValues, access_token: Option<&SecretString>) -> Self {
        let mut secrets = Vec::new();
        for secret in values.secrets().chain(access_token) {
            secrets.extend(forms_of(secret.expose_secret()));
        }
        if let (Some(id), Some(secret)) = (values.expose(CLIENT_ID), values.expose(CLIENT_SECRET)) {
            for pair in [raw_pair(id, secret), form_pair(id, secret)] {
                secrets.extend(forms_of(&pair));
            }
        }
        let plain = values.iter().filter_map(|(id, _)| {
            let field = connector.field(id.as_str())?;
            let value = values.plain(id.as_str())?;
            let own = field.options.is_empty() && field.default.as_deref() != Some(value) && value.chars().count() >= PLAIN_MIN;
            own.then(|| (settled(value), field.label.clone()))
        });
        let mut plain: Vec<_> = plain.filter(|(value, _)| !value.trim().is_empty()).collect();
        plain.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { plain, ..Self::of_forms(secrets) }
    }

    /// Removes secrets that belong to no credential.
    pub(in crate::upstream) fn of_secrets<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        Self::of_forms(secrets.into_iter().flat_map(forms_of).collect())
    }

    fn of_forms(mut secrets: Vec<Zeroizing<String>>) -> Self {
        // A text is normalized before it is searched, so the secrets must be too. A secret that consists of spaces
        // only isn't worth losing every space for.
        let as_settled: Vec<_> = secrets.iter().map(|form| settled(form)).filter(|form| !form.trim().is_empty()).collect();
        secrets.extend(as_settled);
        Self { secrets: Search::new(secrets), plain: Vec::new() }
    }

    /// The text, safe to show: at most `most` characters.
    pub(in crate::upstream) fn clean(&self, text: &str, most: usize) -> String {
        let mut text = self.without_secrets(text);
        for (value, label) in &self.plain {
            text = replace_word(&text, value, label);
        }
        cut(text.trim(), most)
    }

    /// A body, safe to show, with its plain values: it is only shown to people who may use the credential.
    /// `truncated` says that there was more, so that a secret may be cut at its end.
    pub(in crate::upstream) fn body(&self, body: &[u8], truncated: bool) -> Vec<u8> {
        self.secrets.redact(body, truncated).unwrap_or_else(|| body.to_vec())
    }

    /// The media type, safe to show, with its plain values.
    pub(in crate::upstream) fn content_type(&self, headers: &HeaderMap) -> Option<String> {
        // Lower case comes last, so that a secret is found as it was written.
        essence(headers).map(|text| cut(&self.without_secrets(text), CONTENT_TYPE_MAX).to_ascii_lowercase())
    }

    fn without_secrets(&self, text: &str) -> String {
        let text = settled(text);
        match self.secrets.redact(text.as_bytes(), false) {
            Some(redacted) => String::from_utf8_lossy(&redacted).into_owned(),
            None => text.to_string(),
        }
    }

    /// What a response says: the parts that RFC 6749 section 5.2 names, or the closest match.
    pub(in crate::upstream) fn words(&self, status: u16, headers: &HeaderMap, json: Option<&Value>) -> ServiceWords {
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
            content_type: essence(headers).map(|text| self.clean(text, CONTENT_TYPE_MAX).to_ascii_lowercase()),
        }
    }
}

/// The media type of a response, without parameters.
pub(in crate::upstream) fn content_type(headers: &HeaderMap) -> Option<String> {
    essence(headers).map(str::to_ascii_lowercase)
}

fn essence(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    (!essence.is_empty()).then_some(essence)
}

/// The text with all white space as plain spaces and without invisible characters.
fn settled(text: &str) -> Zeroizing<String> {
    let mut settled = Zeroizing::new(String::with_capacity(text.len()));
    settled.extend(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !hides(*c)));
    settled
}

/// Replaces a value where it stands as a separate word.
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

/// Characters that are invisible, or change how others are displayed.
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
