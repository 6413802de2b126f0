//! Calling out, against real servers over TLS on this machine.

mod answers;
mod api;
mod egress;
mod requests;
mod single_sign_on;
mod stages;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keytile::{
    domain::{
        connectors::{Connector, FieldId, file},
        credentials::{
            values::{FieldValue, FieldValues},
            verification::{Diagnosis, Stage, StageObserver, StageOutcome, StageReport, Unobserved},
        },
        time::{Clock, Timestamp},
    },
    upstream::{EgressPin, Limits, TokenAttempt, Upstream, UpstreamSettings},
};

use crate::support::{
    fault_server::{FaultServer, Reply, Seen},
    tls::Authority,
};

/// The names that the certificates of test servers are for.
const NAMES: &[&str] = &["*.talkdeskid.com", "api.talkdeskapp.com", "id.example.test", "api.example.test"];
/// Hard for encodings: everything that means something in a form, a header or a URL.
const HARD_SECRET: &str = "s3 cret+/&:=%2F?#\"é";

fn talkdesk() -> Connector {
    file::read("talkdesk.toml", include_str!("../../../connectors/talkdesk.toml")).unwrap().connector
}

fn generic() -> Connector {
    let text = include_str!("../../../connectors/oauth2-client-credentials.toml");
    file::read("oauth2-client-credentials.toml", text).unwrap().connector
}

/// The generic connector's file with one text in place of another.
fn generic_with(from: &str, to: &str) -> Connector {
    let text = include_str!("../../../connectors/oauth2-client-credentials.toml");
    assert!(text.contains(from), "{from}");
    file::read("changed.toml", &text.replacen(from, to, 1)).unwrap().connector
}

fn values(fields: &[(&str, &str)]) -> FieldValues {
    let mut values = FieldValues::default();
    for (field, value) in fields {
        let id = FieldId::new(field).unwrap();
        let value =
            if *field == "client_secret" { FieldValue::Secret((*value).into()) } else { FieldValue::Plain((*value).into()) };
        values.insert(id, value);
    }
    values
}

fn talkdesk_values() -> FieldValues {
    values(&[("client_id", "client-1"), ("client_secret", HARD_SECRET), ("account_name", "acme")])
}

fn generic_values(token_url: &str) -> FieldValues {
    values(&[
        ("client_id", "client-1"),
        ("client_secret", HARD_SECRET),
        ("token_url", token_url),
        ("api_base_url", "https://api.example.test"),
    ])
}

/// Stands still at Sun, 06 Nov 1994 08:49:37 GMT.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(784_111_777_000)
    }
}

fn upstream(settings: UpstreamSettings) -> Upstream {
    Upstream::new(settings, Arc::new(StoppedClock)).unwrap()
}

/// Settings that send every host of the tests to a server, trusting an authority.
fn pinned(server: &FaultServer, authority: &Authority) -> UpstreamSettings {
    let pins = NAMES.iter().map(|name| format!("{name}={}", server.address).parse::<EgressPin>().unwrap());
    UpstreamSettings { pins: pins.collect(), extra_ca: vec![authority.certificate()], ..UpstreamSettings::default() }
}

/// A right server for every host of the tests, and an upstream that reaches it.
async fn serving(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (FaultServer, Upstream) {
    serving_within(Limits::default(), reply).await
}

async fn serving_within(limits: Limits, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (FaultServer, Upstream) {
    let authority = Authority::new();
    let server = FaultServer::start(authority.server(NAMES), reply).await;
    let upstream = upstream(UpstreamSettings { limits, ..pinned(&server, &authority) });
    (server, upstream)
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<StageReport>>);

impl StageObserver for Told {
    fn stage_ended(&self, report: &StageReport) {
        self.0.lock().unwrap().push(report.clone());
    }
}

impl Told {
    fn reports(&self) -> Vec<StageReport> {
        self.0.lock().unwrap().clone()
    }
}

/// Fetches a token for the connector that knows its host.
async fn fetch(upstream: &Upstream) -> TokenAttempt {
    upstream.tokens.fetch_token(&talkdesk(), &talkdesk_values(), &Unobserved).await
}

/// The diagnosis of a try that must fail. Checks what holds for each: the stages before the failure
/// passed, those behind it were skipped, and no value of the credential is in it.
fn failure(attempt: TokenAttempt) -> Diagnosis {
    let diagnosis = attempt.result.expect_err("there must be no token");
    let expected = [Stage::Input, Stage::Address, Stage::Connection, Stage::Tls, Stage::Http, Stage::Oauth, Stage::Token];
    assert_eq!(attempt.stages.iter().map(|report| report.stage).collect::<Vec<_>>(), expected, "{diagnosis:?}");
    for report in &attempt.stages {
        let outcome = match report.stage.cmp(&diagnosis.stage) {
            std::cmp::Ordering::Less => StageOutcome::Passed,
            std::cmp::Ordering::Equal => StageOutcome::Failed,
            std::cmp::Ordering::Greater => StageOutcome::Skipped,
        };
        assert_eq!(report.outcome, outcome, "{report:?} {diagnosis:?}");
        assert!(outcome != StageOutcome::Skipped || report.micros == 0);
    }
    let all = format!("{diagnosis:?}");
    for value in [HARD_SECRET, "client-1", "acme"] {
        assert!(!all.contains(value), "{value} in {all}");
    }
    diagnosis
}

fn fields(diagnosis: &Diagnosis) -> Vec<&str> {
    diagnosis.fields.iter().map(FieldId::as_str).collect()
}

/// Limits that end soon. The times leave room for a machine under load.
fn short() -> Limits {
    Limits { connect: Duration::from_secs(1), request: Duration::from_millis(2_500), ..Limits::default() }
}
