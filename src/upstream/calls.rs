//! The only place that calls out: the egress guard, the token endpoint, a connector's API, an identity
//! provider, and what failures mean.
//!
//! Fetching a token is one code path, [`Upstream::fetch_token`], for verification and broker alike,
//! so that nothing verifies that would not work later. Requests go over HTTPS, to addresses that the
//! guard has checked or an operator has named, within limits, and never follow a redirect. Nothing
//! here is logged that a request or an answer holds.

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
        fault::{Fault, FaultKind},
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

/// Where calls may go, whom they trust and how long they may take.
#[derive(Debug, Clone, Default)]
pub struct UpstreamSettings {
    /// Where the connections to some hosts go. The first that matches counts.
    pub pins: Vec<EgressPin>,
    /// Networks that may be connected to although they are not public.
    pub allow_private: Vec<IpNet>,
    /// Certificate authorities that are trusted beside the public ones.
    pub extra_ca: Vec<CertificateDer<'static>>,
    /// Who is asked for addresses.
    pub nameserver: Nameserver,
    /// Times and sizes.
    pub limits: Limits,
}

/// The limits of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time for finding an address, connecting and the TLS handshake together.
    pub connect: Duration,
    /// The time for a whole request, to the last byte of its answer.
    pub request: Duration,
    /// The time for all requests of a probe together. Shorter, because somebody waits for a Save
    /// that the probe can only explain.
    pub probe: Duration,
    /// The most bytes that a token endpoint may answer.
    pub token_answer: usize,
    /// The bytes after which the answer of an API is cut, where it is shown.
    pub api_answer: usize,
    /// The time to the head of an answer to a forwarded request.
    pub first_byte: Duration,
    /// The time from one piece of a forwarded body to the next.
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

/// Why nothing can be called at all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// TLS cannot be set up; most likely an extra certificate authority is none.
    #[error("TLS for calling out cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Calls services.
pub struct Upstream {
    pub(super) exchanger: Exchanger,
    pub(super) forwarder: Forwarder,
    pub(super) providers: Providers,
    hosts: Hosts,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
}

/// One try to fetch an access token.
#[derive(Debug)]
pub struct TokenAttempt {
    /// Every stage from [`Stage::Input`] to [`Stage::Token`] in order, those that were not reached
    /// as skipped.
    pub stages: Vec<StageReport>,
    /// The token, or why there is none.
    pub result: Result<IssuedToken, Diagnosis>,
}

impl Upstream {
    /// Prepares for calling out. Calls nobody; a resolver that cannot be used shows when it is needed.
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

    /// The longest time that a request takes, to the last byte of its answer.
    pub const fn time_of_request(&self) -> Duration {
        self.limits.request
    }

    /// Fetches an access token with a credential's values. The observer is told of each stage once,
    /// in order and as it ends.
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
        let turn = self.hosts.turn(request.url.host_str().unwrap_or_default());
        let Ok(_turn) = tokio::time::timeout(self.limits.request, turn).await else {
            return Err(subject.of_fault(Fault { stage: Stage::Connection, kind: FaultKind::QueueTimedOut }));
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
