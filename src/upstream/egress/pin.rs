//! An egress pin: connections to the hosts that match a pattern go to one fixed address and port.
//!
//! The name that TLS verifies and the `Host` header stay those of the URL, as with `curl --connect-to`. Since an
//! operator names the address of a pin, the guard doesn't check it.
//!
//! A pin to `http://` also means that the proxy forwards to it without TLS: a sidecar adds TLS, or it is a test.
//! Token requests still use TLS, because they carry the client's secret.

use std::{fmt, net::SocketAddr, str::FromStr};

use url::Host;

/// The prefix of an address that the proxy forwards to without TLS.
const CLEAR: &str = "http://";

/// Sends the connections to some hosts to a fixed address. Parsed from `HOST-PATTERN=ADDR:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressPin {
    pattern: Pattern,
    address: SocketAddr,
    clear: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// This host alone.
    Host(String),
    /// Every host below this domain, but not the domain itself.
    Below(String),
}

impl EgressPin {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// True if forwarded requests go there without TLS.
    pub fn is_clear(&self) -> bool {
        self.clear
    }

    /// True if connections to this host are pinned. Case and a trailing dot make no difference.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match &self.pattern {
            Pattern::Host(pinned) => host == *pinned,
            Pattern::Below(domain) => host
                .strip_suffix(domain.as_str())
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
        }
    }
}

impl FromStr for EgressPin {
    type Err = String;

    /// The error is a sentence that says what is expected.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "write it as HOST-PATTERN=ADDR:PORT, such as *.example.com=127.0.0.1:8443";
        let (pattern, address) = text.trim().split_once('=').ok_or_else(|| format!("`{text}` has no `=`; {expected}"))?;
        let address = address.trim();
        let (clear, address) = address.strip_prefix(CLEAR).map_or((false, address), |address| (true, address));
        let address = address.parse::<SocketAddr>().map_err(|_| {
            format!("`{}` is not an IP address with a port (an IPv6 address stands in brackets); {expected}", address)
        })?;
        if address.port() == 0 {
            return Err(format!("the port of `{address}` must not be 0; {expected}"));
        }
        let (below, name) = match pattern.trim().strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, pattern.trim()),
        };
        let wrong = || format!("`{}` is neither a host name nor `*.` and a domain; {expected}", pattern.trim());
        let Ok(Host::Domain(name)) = Host::parse(name.trim_end_matches('.')) else { return Err(wrong()) };
        let label_fits = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !name.split('.').all(label_fits) {
            return Err(wrong());
        }
        Ok(Self { pattern: if below { Pattern::Below(name) } else { Pattern::Host(name) }, address, clear })
    }
}

impl fmt::Display for EgressPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clear = if self.clear { CLEAR } else { "" };
        match &self.pattern {
            Pattern::Host(host) => write!(f, "{host}={clear}{}", self.address),
            Pattern::Below(domain) => write!(f, "*.{domain}={clear}{}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_it_says() {
        let exact: EgressPin = "ID.example.com=127.0.0.1:8443".parse().unwrap();
        assert!(exact.matches("id.example.com") && exact.matches("ID.EXAMPLE.COM."));
        assert!(!exact.matches("a.id.example.com") && !exact.matches("example.com"));
        let below: EgressPin = "*.example.com=[::1]:443".parse().unwrap();
        assert_eq!(below.address(), "[::1]:443".parse().unwrap());
        assert!(below.matches("a.example.com") && below.matches("b.a.Example.com"));
        for other in ["example.com", ".example.com", "aexample.com", "example.com.evil.test", ""] {
            assert!(!below.matches(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_pin_is_refused_with_a_sentence() {
        for wrong in [
            "",
            "example.com",
            "example.com=",
            "=127.0.0.1:1",
            "example.com=127.0.0.1",
            "example.com=localhost:443",
            "example.com=::1:443",
            "example.com=127.0.0.1:0",
            "*=127.0.0.1:443",
            "*.=127.0.0.1:443",
            "a.*.com=127.0.0.1:443",
            "127.0.0.1=127.0.0.1:443",
            "https://example.com=127.0.0.1:443",
            "example.com=https://127.0.0.1:443",
            "example.com=http://127.0.0.1",
            "example.com=http://127.0.0.1:80/",
            "example.com=http://localhost:80",
        ] {
            let error = wrong.parse::<EgressPin>().unwrap_err();
            assert!(error.contains("HOST-PATTERN=ADDR:PORT"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_pin_is_written_as_it_is_read() {
        for text in ["a.example=127.0.0.1:1", "*.example.com=[2001:db8::1]:443", "a.example=http://[::1]:80"] {
            let pin: EgressPin = text.parse().unwrap();
            assert_eq!(pin.to_string(), text);
            assert_eq!(pin.is_clear(), text.contains("http"), "{text}");
        }
    }
}
