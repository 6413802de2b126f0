//! The settings of metrics and traces.

use std::net::SocketAddr;

use clap::Args;
use url::Url;

use crate::domain::setting::Setting;

/// Metrics and traces.
#[derive(Debug, Clone, Args)]
pub struct OperationsConfig {
    /// Serve metrics for Prometheus (`/metrics`) on this address and port, over plain HTTP. Off by default. Let only
    /// Prometheus reach it.
    #[arg(long, env = "KEYTILE_METRICS_LISTEN", value_name = "ADDR:PORT")]
    pub metrics_listen: Option<SocketAddr>,

    /// Send traces to this OpenTelemetry collector by OTLP over HTTP, such as `http://127.0.0.1:4318`. Off by default.
    #[arg(long, env = "KEYTILE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<Url>,

    /// The share of requests that start a trace, from 0 to 1. API and proxy requests that already belong to a trace
    /// follow their client's decision.
    #[arg(long, env = "KEYTILE_OTLP_SAMPLING", value_name = "SHARE", default_value = "1", value_parser = share)]
    pub otlp_sampling: f64,
}

impl OperationsConfig {
    /// Checks settings that can be parsed but not used. The error is a sentence that names the setting but not its
    /// value, which may contain a password.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(url) = &self.otlp_endpoint else { return Ok(()) };
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("--otlp-endpoint: expected an address such as http://127.0.0.1:4318.".into());
        }
        let has_more = url.query().is_some() || url.fragment().is_some();
        if has_more || !url.username().is_empty() || url.password().is_some() {
            return Err(
                "--otlp-endpoint: expected only scheme, host, port and path. If your provider needs credentials, run a collector in between."
                    .into(),
            );
        }
        Ok(())
    }

    /// See [`super::Config::settings`].
    pub(super) fn settings(&self) -> Vec<Setting> {
        let setting = |name, value: String, default| Setting { name, value, default, secret: false };
        vec![
            setting("metrics-listen", self.metrics_listen.map(|address| address.to_string()).unwrap_or_default(), ""),
            setting("otlp-endpoint", self.otlp_endpoint.as_ref().map(Url::to_string).unwrap_or_default(), ""),
            setting("otlp-sampling", self.otlp_sampling.to_string(), "1"),
        ]
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "expected a number from 0 to 1, such as 0.1".into())
}
