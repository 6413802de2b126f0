//! [`Upstream`], the type that every outgoing call goes through, and its settings.
//!
//! Fetching a token is one code path, [`Upstream::fetch_token`], for verification and broker alike, so that
//! whatever verifies also works later. Requests use HTTPS, go to addresses that the egress guard has checked or an
//! operator has named, have limits, and never follow a redirect. Nothing from a request or a response is logged
//! here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant as Deadline;

use super::{
    client::{
        exchange::{BodyLimit, Exchanger},
        fault::Fault,
        progress::Progress,
    },
    diagnosis::diagnose::Subject,
    egress::{
        guard::Guard,
        host_limit::Hosts,
        pin::EgressPin,
        resolver::{Names, Nameserver},
    },
    http1::forwarder::Forwarder,
    oauth::token_response::IssuedToken,
    sso::Providers,
};
use crate::domain::{
    connectors::Connector,
    credentials::{
        values::FieldValues,
        verification::{Diagnosis, Stage, StageObserver, StageReport},
    },
    time::Clock,
};

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

/// The limits of a call: times, and sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For finding an address, connecting and the TLS handshake together.
    pub connect: Duration,
    /// For a whole request, to the last byte of its response.
    pub request: Duration,
    /// For all requests of a probe together. Shorter than the others, because someone is waiting for Save, and the
    /// probe can only explain a problem.
    pub probe: Duration,
    /// The largest response of a token endpoint, in bytes.
    pub token_answer: usize,
    /// The size in bytes at which the body of an API response is cut for display.
    pub api_answer: usize,
    /// From the start of a forwarded request to the head of its response.
    pub first_byte: Duration,
    /// Between two pieces of a forwarded body.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(15),
            probe: Duration::from_secs(5),
            token_answer: 64 * 1024,
            api_answer: 1024 * 1024,
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        }
    }
}

/// Why no calls can be made at all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// TLS can't be set up, most likely because an extra certificate authority isn't a valid certificate.
    #[error("TLS for calling out cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Makes every outgoing call.
pub struct Upstream {
    pub(super) exchanger: Exchanger,
    pub(super) forwarder: Forwarder,
    pub(super) providers: Providers,
    hosts: Hosts,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
}

/// One attempt to fetch an access token.
#[derive(Debug)]
pub struct TokenAttempt {
    /// Every stage from [`Stage::Input`] to [`Stage::Token`] in order. Stages that were not reached are skipped.
    pub stages: Vec<StageReport>,
    /// The token, or why there is none.
    pub result: Result<IssuedToken, Diagnosis>,
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
        let providers = Providers::new(exchanger(Guard::open()));
        let exchanger = exchanger(Guard::new(allow_private));
        let forwarder = Forwarder::new(Arc::clone(&exchanger.names), Arc::new(tls));
        Ok(Self { exchanger, forwarder, providers, hosts: Hosts::default(), limits, clock })
    }

    /// The longest time that a request may take, to the last byte of its response.
    pub const fn time_of_request(&self) -> Duration {
        self.limits.request
    }

    /// Fetches an access token with a credential's values. The observer gets each stage once, in order, as it ends.
    pub async fn fetch_token(&self, connector: &Connector, values: &FieldValues, observer: &dyn StageObserver) -> TokenAttempt {
        let mut progress = Progress::new(observer);
        let result = self.try_token(connector, values, &mut progress).await;
        match &result {
            Ok(_) => progress.pass(Stage::Token, Instant::now()),
            Err(diagnosis) => progress.fail(diagnosis.stage),
        }
        TokenAttempt { stages: progress.into_reports(), result }
    }

    async fn try_token(
        &self,
        connector: &Connector,
        values: &FieldValues,
        progress: &mut Progress<'_>,
    ) -> Result<IssuedToken, Diagnosis> {
        let subject = Subject::token_endpoint(connector);
        let request = super::oauth::token_request::token_request(connector, values)?;
        progress.pass(Stage::Input, Instant::now());
        // Waiting for other requests to the same host counts as the host not responding in time.
        let turn = self.hosts.turn(request.url.host_str().unwrap_or_default());
        let Ok(_turn) = tokio::time::timeout(self.limits.request, turn).await else {
            return Err(subject.of_fault(Fault::timed_out(Stage::Connection)));
        };
        let deadline = Deadline::now() + self.limits.request;
        let limit = BodyLimit::Refuse(self.limits.token_answer);
        let answer = self.exchanger.exchange(request, limit, deadline, progress).await;
        let answer = answer.map_err(|fault| subject.of_fault(fault))?;
        let token = super::oauth::token_response::read(subject, &answer, values, self.clock.now());
        if token.as_ref().is_err_and(|diagnosis| diagnosis.stage > Stage::Http) {
            progress.pass(Stage::Http, Instant::now());
        }
        token.map_err(|diagnosis| *diagnosis)
    }
}
