//! Fetches an access token: one request, observed stage by stage. Verification and broker both use this, so that
//! nothing verifies that would not work later.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::Instant as Deadline;

use super::{
    token_request::token_request,
    token_response::{self, IssuedToken},
};
use crate::{
    domain::{
        connectors::Connector,
        credentials::{
            values::FieldValues,
            verification::{Diagnosis, Stage, StageObserver, StageReport},
        },
        time::Clock,
    },
    upstream::{
        client::{
            exchange::{BodyLimit, Exchanger},
            fault::{Fault, FaultKind},
            progress::Progress,
        },
        diagnosis::diagnose::Subject,
        egress::host_limit::Hosts,
        limits::Limits,
    },
};

/// Calls token endpoints, each host with a few requests at a time.
pub struct TokenClient {
    exchanger: Arc<Exchanger>,
    hosts: Hosts,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

/// One attempt to fetch an access token.
#[derive(Debug)]
pub struct TokenAttempt {
    /// Every stage from [`Stage::Input`] to [`Stage::Token`] in order. Stages that were not reached are skipped.
    pub stages: Vec<StageReport>,
    /// The token, or why there is none.
    pub result: Result<IssuedToken, Diagnosis>,
}

impl TokenClient {
    pub(in crate::upstream) fn new(exchanger: Arc<Exchanger>, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self { exchanger, hosts: Hosts::default(), limits, clock }
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
        let request = token_request(connector, values)?;
        progress.pass(Stage::Input, Instant::now());
        let turn = self.hosts.turn(request.url.host_str().unwrap_or_default());
        let Ok(_turn) = tokio::time::timeout(self.limits.request, turn).await else {
            return Err(subject.of_fault(Fault { stage: Stage::Connection, kind: FaultKind::QueueTimedOut }));
        };
        let deadline = Deadline::now() + self.limits.request;
        let limit = BodyLimit::Refuse(self.limits.token_answer);
        let answer = self.exchanger.exchange(request, limit, deadline, progress).await;
        let answer = answer.map_err(|fault| subject.of_fault(fault))?;
        let token = token_response::read(subject, &answer, values, self.clock.now());
        if token.as_ref().is_err_and(|diagnosis| diagnosis.stage > Stage::Http) {
            progress.pass(Stage::Http, Instant::now());
        }
        token.map_err(|diagnosis| *diagnosis)
    }
}
