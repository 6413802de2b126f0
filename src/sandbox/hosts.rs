//! The host names of TalkDesk, and what the sandbox serves for each of them.
//!
//! TalkDesk has two kinds of hosts in each region: one per account, which issues access tokens, and one for
//! the API of all accounts. Both arrive at the same port here; the Host header tells them apart.

/// Every host, as patterns in which `*` stands for one label.
pub(super) const PATTERNS: [&str; 8] = [
    "*.talkdeskid.com",
    "*.talkdeskid.eu",
    "*.talkdeskidca.com",
    "*.talkdeskid.au",
    "api.talkdeskapp.com",
    "api.talkdeskapp.eu",
    "api.talkdeskappca.com",
    "api.talkdeskapp.au",
];

/// Where TalkDesk keeps an account. Access tokens of one region aren't valid in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Region {
    UnitedStates,
    Europe,
    Canada,
    Australia,
}

impl Region {
    const ALL: [Self; 4] = [Self::UnitedStates, Self::Europe, Self::Canada, Self::Australia];

    /// The domain below which each account has its host.
    const fn identity_domain(self) -> &'static str {
        match self {
            Self::UnitedStates => "talkdeskid.com",
            Self::Europe => "talkdeskid.eu",
            Self::Canada => "talkdeskidca.com",
            Self::Australia => "talkdeskid.au",
        }
    }

    /// The host of the API. Australia's isn't published, so this one is invented.
    pub(super) const fn api_host(self) -> &'static str {
        match self {
            Self::UnitedStates => "api.talkdeskapp.com",
            Self::Europe => "api.talkdeskapp.eu",
            Self::Canada => "api.talkdeskappca.com",
            Self::Australia => "api.talkdeskapp.au",
        }
    }

    /// Its name in an access token.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::UnitedStates => "us",
            Self::Europe => "eu",
            Self::Canada => "ca",
            Self::Australia => "au",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.word() == word)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// The token endpoint of one account.
    Identity {
        /// The first label of the host name, in lower case.
        account: String,
        /// From the rest of the host name.
        region: Region,
    },
    /// The API of one region.
    Api(Region),
}

impl Host {
    /// Parses a Host header, with or without a port. `None` for a host that isn't TalkDesk's.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let name = header.rsplit_once(':').map_or(header, |(name, _port)| name).to_ascii_lowercase();
        if let Some(region) = Region::ALL.into_iter().find(|region| region.api_host() == name) {
            return Some(Self::Api(region));
        }
        let (account, domain) = name.split_once('.')?;
        let region = Region::ALL.into_iter().find(|region| region.identity_domain() == domain)?;
        (!account.is_empty()).then(|| Self::Identity { account: account.to_owned(), region })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_a_host_of_some_region() {
        for pattern in PATTERNS {
            assert!(Host::parse(&pattern.replace('*', "acme")).is_some(), "{pattern}");
        }
    }

    #[test]
    fn a_host_is_read_without_regard_to_case_and_port() {
        let acme = Host::Identity { account: "acme".into(), region: Region::Canada };
        assert_eq!(Host::parse("ACME.talkdeskidca.com:8443"), Some(acme));
        assert_eq!(Host::parse("api.talkdeskapp.eu"), Some(Host::Api(Region::Europe)));
    }

    #[test]
    fn hosts_of_others_and_deeper_names_are_refused() {
        for host in ["", "talkdeskid.com", ".talkdeskid.com", "a.b.talkdeskid.com", "acme.example.com", "127.0.0.1:443"] {
            assert_eq!(Host::parse(host), None, "{host}");
        }
    }
}
