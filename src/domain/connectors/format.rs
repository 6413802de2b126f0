//! What a field accepts, and how text that was typed or pasted becomes its value.

use serde::Deserialize;
use url::{Host, Url};

use crate::domain::naming::is_unseen;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldFormat {
    /// Any text on one line.
    Text,
    /// One label of a host name (RFC 1123 section 2.1), in lower case.
    DnsLabel,
    /// A host name, in lower case.
    Host,
    /// An address that begins with `https://`.
    HttpsUrl,
    /// A UUID in its canonical form.
    Uuid,
    /// Decimal digits.
    Digits,
    /// One of the field's options.
    Enum,
}

impl FieldFormat {
    /// The name used in connector files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::DnsLabel => "dns-label",
            Self::Host => "host",
            Self::HttpsUrl => "https-url",
            Self::Uuid => "uuid",
            Self::Digits => "digits",
            Self::Enum => "enum",
        }
    }

    /// True if no value of this format can add a second label to the host name it's part of.
    pub const fn stays_in_label(self) -> bool {
        matches!(self, Self::DnsLabel | Self::Uuid | Self::Digits)
    }

    /// Turns typed text into the value that is stored. The error is a sentence for the person who typed it.
    /// Doesn't check the options of an `enum`: the field does.
    pub fn normalise(self, typed: &str) -> Result<String, String> {
        let text = typed.trim();
        if text.chars().any(is_unseen) {
            return Err("Remove the line break or control character.".into());
        }
        match self {
            Self::Text | Self::Enum => Ok(text.to_owned()),
            Self::DnsLabel => dns_label(text),
            Self::Host => host(text),
            Self::HttpsUrl => https_url(text),
            Self::Uuid => match uuid::Uuid::try_parse(text) {
                Ok(id) => Ok(id.to_string()),
                Err(_) => Err("Enter a UUID, such as 0189f7ea-ae2f-7809-8aeb-b819cf5e9e7f.".into()),
            },
            Self::Digits if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Ok(text.to_owned()),
            Self::Digits => Err("Use digits only.".into()),
        }
    }
}

/// One host label: letters, digits and inner hyphens, at most 63, in lower case.
fn dns_label(text: &str) -> Result<String, String> {
    let label = text.to_ascii_lowercase();
    if label.len() > 63 {
        return Err(format!("Use at most 63 characters; this has {}.", label.chars().count()));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("A hyphen can stand only between letters or digits.".into());
    }
    match label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
        None if label.is_empty() => Err("Enter a value.".into()),
        None => Ok(label),
        Some(wrong) => Err(format!("Use only letters, digits and hyphens; “{wrong}” cannot be part of it.")),
    }
}

/// A host name, or the host of a pasted URL.
fn host(text: &str) -> Result<String, String> {
    let expected = || "Enter a host name, such as api.example.com.".to_owned();
    let name = match pasted_host(text) {
        Some(host) => host,
        None => text.to_ascii_lowercase(),
    };
    let name = name.trim_end_matches('.');
    match Host::parse(name) {
        Ok(Host::Domain(domain)) if domain.split('.').all(|label| dns_label(label).is_ok()) && domain.len() <= 253 => Ok(domain),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Err("Enter a host name, not an IP address.".into()),
        _ => Err(expected()),
    }
}

/// An `https://` address without user information or fragment.
fn https_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "Enter an address that begins with https://.".to_owned())?;
    if url.scheme() != "https" {
        return Err("The address must begin with https://, so that nothing is sent in the clear.".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("Remove the user name and password from the address.".into());
    }
    if url.fragment().is_some() {
        return Err("Remove the part that begins with # from the address.".into());
    }
    Ok(url.into())
}

/// The host of a pasted URL, or of a pasted host name with or without a path. `None` if the text is neither.
pub(crate) fn pasted_host(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let candidate = match lower.split_once("://") {
        Some(("http" | "https", _)) => lower,
        Some(_) => return None,
        None if lower.contains('.') || lower.contains('/') => format!("https://{lower}"),
        None => return None,
    };
    let url = Url::parse(&candidate).ok()?;
    url.host_str().map(|host| host.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels() {
        assert_eq!(FieldFormat::DnsLabel.normalise(" Acme-Support "), Ok("acme-support".into()));
        for wrong in ["", "-a", "a-", "a.b", "a_b", "ä", "a b", "a/b", "a@b", "a:1", &"a".repeat(64)] {
            assert!(FieldFormat::DnsLabel.normalise(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_and_urls() {
        assert_eq!(FieldFormat::Host.normalise("https://API.example.com/x"), Ok("api.example.com".into()));
        assert_eq!(FieldFormat::Host.normalise("api.example.com."), Ok("api.example.com".into()));
        for wrong in ["127.0.0.1", "0x7f.1", "[::1]", "a b", "a..b", ""] {
            assert!(FieldFormat::Host.normalise(wrong).is_err(), "{wrong}");
        }
        assert_eq!(FieldFormat::HttpsUrl.normalise("https://id.example.com/token"), Ok("https://id.example.com/token".into()));
        for wrong in ["http://a.example", "https://u:p@a.example", "https://a.example/#x", "a.example", "ftp://a"] {
            assert!(FieldFormat::HttpsUrl.normalise(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn uuids_and_digits() {
        assert!(FieldFormat::Uuid.normalise("0189F7EA-AE2F-7809-8AEB-B819CF5E9E7F").is_ok());
        assert!(FieldFormat::Uuid.normalise("x").is_err());
        assert_eq!(FieldFormat::Digits.normalise(" 042 "), Ok("042".into()));
        assert!(FieldFormat::Digits.normalise("4a").is_err());
    }

    proptest! {
        #[test]
        fn a_label_never_leaves_its_label(typed in "\\PC{0,80}") {
            if let Ok(label) = FieldFormat::DnsLabel.normalise(&typed) {
                let url = Url::parse(&format!("https://{label}.service.example/oauth/token")).unwrap();
                prop_assert_eq!(url.host_str().unwrap(), format!("{label}.service.example"));
                prop_assert_eq!(url.path(), "/oauth/token");
                prop_assert_eq!(FieldFormat::DnsLabel.normalise(&label), Ok(label));
            }
        }

        #[test]
        fn normalising_twice_changes_nothing(typed in "\\PC{0,60}") {
            for format in [FieldFormat::Text, FieldFormat::Host, FieldFormat::HttpsUrl, FieldFormat::Uuid, FieldFormat::Digits] {
                if let Ok(value) = format.normalise(&typed) {
                    prop_assert_eq!(format.normalise(&value), Ok(value));
                }
            }
        }
    }
}
