//! Resolves a host name to the addresses that may be connected to.
//!
//! Pins come first, then `/etc/hosts` and DNS. Every address is checked by the egress guard, and only checked
//! addresses are returned and connected to, so that a second DNS response can't bypass the check (DNS rebinding).
//! Names are looked up as they are, never with the system's search domains.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::future::{Either, select};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RecordType},
};

use super::{guard::Guard, pin::EgressPin};

/// How long to wait for the slower address family once the other has been resolved.
const SECOND_FAMILY_GRACE: Duration = Duration::from_millis(250);

/// Where host names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nameserver {
    /// Like the system: `/etc/hosts`, then the servers in `/etc/resolv.conf`.
    #[default]
    System,
    /// Only this server, over UDP.
    At(SocketAddr),
}

/// Why a host has no address to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::upstream) enum NameFault {
    #[error("the host name does not exist")]
    NoSuchHost,
    #[error("the resolver failed: {0}")]
    ResolverFailed(String),
    #[error("the host has only addresses that are refused: {0}")]
    AddressRefused(&'static str),
}

pub(in crate::upstream) struct Names {
    pins: Vec<EgressPin>,
    guard: Guard,
    /// If there is no usable resolver, the reason; then only pinned hosts can be reached.
    resolver: Result<TokioResolver, String>,
}

impl Names {
    /// `patience` is the time that a lookup may take.
    pub(in crate::upstream) fn new(pins: Vec<EgressPin>, guard: Guard, nameserver: Nameserver, patience: Duration) -> Self {
        Self { pins, guard, resolver: resolver(nameserver, patience) }
    }

    /// The pin of a host. The first that matches applies.
    pub(in crate::upstream) fn pinned(&self, host: &str) -> Option<&EgressPin> {
        self.pins.iter().find(|pin| pin.matches(host))
    }

    /// Checks an IP address that a URL has in place of a host name.
    pub(in crate::upstream) fn check(&self, address: IpAddr) -> Result<IpAddr, NameFault> {
        self.guard.check(address).map_err(NameFault::AddressRefused)
    }

    /// The addresses of a host. Port 0 means the port of the URL.
    pub(in crate::upstream) async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, NameFault> {
        if let Some(pin) = self.pinned(host) {
            return Ok(vec![pin.address()]);
        }
        let mut refused = None;
        let mut good = Vec::new();
        for address in self.look_up(host).await? {
            match self.guard.check(address) {
                Ok(address) => good.push(SocketAddr::new(address, 0)),
                Err(kind) => refused = Some(kind),
            }
        }
        match refused {
            Some(kind) if good.is_empty() => Err(NameFault::AddressRefused(kind)),
            _ if good.is_empty() => Err(NameFault::NoSuchHost),
            _ => Ok(good),
        }
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, NameFault> {
        let resolver = self.resolver.as_ref().map_err(|reason| NameFault::ResolverFailed(reason.clone()))?;
        // A name that DNS can't represent can't exist.
        let mut name = Name::from_ascii(host).map_err(|_| NameFault::NoSuchHost)?;
        name.set_fqdn(true);
        let v4 = Box::pin(resolver.lookup(name.clone(), RecordType::A));
        let v6 = Box::pin(resolver.lookup(name, RecordType::AAAA));
        let (first, second) = match select(v4, v6).await {
            Either::Left((first, other)) => both(first, other).await,
            Either::Right((first, other)) => both(first, other).await,
        };
        let answers = [Some(first), second].into_iter().flatten().collect::<Vec<_>>();
        let addresses: Vec<IpAddr> = answers.iter().flatten().flat_map(addresses_of).collect();
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        // One response that the name doesn't exist is conclusive; one failure isn't.
        let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
        if errors.clone().any(NetError::is_nx_domain) {
            return Err(NameFault::NoSuchHost);
        }
        match errors.find(|error| !error.is_no_records_found()) {
            Some(error) => Err(NameFault::ResolverFailed(reason_of(error))),
            None => Err(NameFault::NoSuchHost),
        }
    }
}

type Answer = Result<Lookup, NetError>;

/// Waits for the second response as long as it takes if the first has no address, and only briefly if it has one.
async fn both(first: Answer, other: impl Future<Output = Answer>) -> (Answer, Option<Answer>) {
    let second = match &first {
        Ok(lookup) if addresses_of(lookup).next().is_some() => tokio::time::timeout(SECOND_FAMILY_GRACE, other).await.ok(),
        _ => Some(other.await),
    };
    (first, second)
}

fn addresses_of(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

/// The reason for a failure, without the name that was looked up, which may be a sealed value.
fn reason_of(error: &NetError) -> String {
    match error {
        NetError::Timeout => "it did not answer".into(),
        NetError::Dns(hickory_resolver::net::DnsError::ResponseCode(code)) => format!("it answered {code}"),
        NetError::Io(error) => format!("it could not be reached ({})", error.kind()),
        NetError::NoConnections => "it could not be reached".into(),
        _ => "its answer could not be used".into(),
    }
}

fn resolver(nameserver: Nameserver, patience: Duration) -> Result<TokioResolver, String> {
    let unreadable = |error: NetError| format!("the system's resolver configuration cannot be used ({error})");
    let mut builder = match nameserver {
        Nameserver::System => TokioResolver::builder_tokio().map_err(unreadable)?,
        Nameserver::At(address) => {
            let mut connection = ConnectionConfig::udp();
            connection.port = address.port();
            let server = NameServerConfig::new(address.ip(), true, vec![connection]);
            let config = ResolverConfig::from_name_servers(vec![server]);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            builder.options_mut().use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
            builder
        }
    };
    settle(builder.options_mut(), patience);
    builder.build().map_err(unreadable)
}

fn settle(options: &mut ResolverOpts, patience: Duration) {
    // Two attempts that both fit in the time limit, so that the resolver itself reports a timeout.
    options.attempts = 1;
    options.timeout = options.timeout.min(patience * 2 / 5);
    // An account that was just created must not stay unknown for the hours that a zone may specify.
    options.negative_max_ttl = Some(Duration::from_secs(5));
    options.positive_max_ttl = Some(Duration::from_secs(60));
}
