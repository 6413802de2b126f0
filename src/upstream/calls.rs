//! [`Upstream`], the type that every outgoing call goes through, and its settings.
//!
//! Fetching a token is one code path, [`TokenClient::fetch_token`], for verification and broker alike, so that
//! whatever verifies also works later. Requests use HTTPS, go to addresses that the egress guard has checked or an
//! operator has named, have limits, and never follow a redirect. Nothing from a request or a response is logged
//! here.

use std::sync::Arc;

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;

use super::{
    api::ApiClient,
    client::exchange::Exchanger,
    egress::{
        guard::Guard,
        pin::EgressPin,
        resolver::{Names, Nameserver},
    },
    http1::Forwarder,
    limits::Limits,
    oauth::fetch::TokenClient,
    otlp::CollectorClient,
    sso::{provider::Providers, providers::ProviderClient},
};
use crate::domain::time::Clock;

/// Where calls may go, which authorities they trust and how long they may take.
#[derive(Debug, Clone, Default)]
pub struct UpstreamSettings {
    /// Hosts whose connections go to a fixed address. The first that matches applies.
    pub pins: Vec<EgressPin>,
    /// Networks that may be connected to although they are not public.
    pub allow_private: Vec<IpNet>,
    /// Certificate authorities that are trusted in addition to the public ones.
    pub extra_ca: Vec<CertificateDer<'static>>,
    pub nameserver: Nameserver,
    pub limits: Limits,
}

/// Why nothing can be called at all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// TLS can't be set up, most likely because an extra certificate authority isn't a valid certificate.
    #[error("TLS for calling out cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Calls services: a client for each kind of call.
pub struct Upstream {
    /// Token endpoints.
    pub tokens: TokenClient,
    /// The API of a connector, one request at a time.
    pub api: ApiClient,
    /// The API of a connector, for requests of the proxy.
    pub forwarder: Forwarder,
    /// The identity provider of single sign-on.
    pub sign_on: ProviderClient,
    /// The collector of traces.
    pub collector: CollectorClient,
}

impl Upstream {
    /// Prepares the clients without sending anything. A resolver that can't be used causes an error only when it is
    /// needed.
    pub fn new(settings: UpstreamSettings, clock: Arc<dyn Clock>) -> Result<Self, UpstreamError> {
        let UpstreamSettings { pins, allow_private, extra_ca, nameserver, limits } = settings;
        let tls = super::egress::tls::config(&extra_ca)?;
        let exchanger = |guard| {
            let names = Names::new(pins.clone(), guard, nameserver, limits.connect);
            Exchanger { names: Arc::new(names), tls: tls.clone(), connect: limits.connect }
        };
        let trusted = exchanger(Guard::open());
        let collector = CollectorClient::new(tls.clone(), Arc::clone(&trusted.names), Arc::clone(&clock));
        let guarded = Arc::new(exchanger(Guard::new(allow_private)));
        Ok(Self {
            tokens: TokenClient::new(Arc::clone(&guarded), limits, Arc::clone(&clock)),
            api: ApiClient::new(Arc::clone(&guarded), limits, Arc::clone(&clock)),
            forwarder: Forwarder::new(Arc::clone(&guarded.names), Arc::new(tls), limits),
            sign_on: ProviderClient::new(guarded, Providers::new(trusted), limits, clock),
            collector,
        })
    }
}
