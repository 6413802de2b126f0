//! The address of a server, as the user types it.

use std::{fmt, str::FromStr};

use reqwest::Url;

/// Scheme, host and port of a Keytile server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress(Url);

impl ServerAddress {
    /// The URL of `path`, which begins with `/` and may have a query.
    pub(super) fn below(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        url
    }
}

impl FromStr for ServerAddress {
    type Err = String;

    /// The error is a sentence that doesn't repeat what was typed, because that may contain a password.
    fn from_str(typed: &str) -> Result<Self, String> {
        let url = Url::parse(typed.trim()).map_err(|_| EXPECTED.to_owned())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(EXPECTED.to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "the address contains a user name or password; Keytile uses an API key instead, from KEYTILE_KEY or --key-file"
                    .to_owned(),
            );
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("use only scheme, host and port; {EXPECTED}"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

const EXPECTED: &str = "expected an address such as https://keytile.example.com or http://127.0.0.1:8440";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_scheme_host_and_port() {
        for (typed, shown) in [
            ("http://127.0.0.1:8440", "http://127.0.0.1:8440"),
            (" https://Keytile.example.com/ ", "https://keytile.example.com"),
            ("https://[::1]:8440", "https://[::1]:8440"),
        ] {
            assert_eq!(typed.parse::<ServerAddress>().unwrap().to_string(), shown);
        }
        for wrong in ["", "keytile.example.com", "ftp://h", "http://", "https://h/keytile", "https://h?a", "https://h#a"] {
            assert!(wrong.parse::<ServerAddress>().is_err(), "{wrong}");
        }
        let refused = "https://ana:canary-1@h".parse::<ServerAddress>().unwrap_err();
        assert!(refused.contains("password") && !refused.contains("canary"), "{refused}");
    }

    #[test]
    fn a_path_is_put_below_it_as_it_is() {
        let server: ServerAddress = "http://h:1".parse().unwrap();
        assert_eq!(server.below("/proxy/a/b%2Fc?page=1&q=a+b").as_str(), "http://h:1/proxy/a/b%2Fc?page=1&q=a+b");
    }
}
