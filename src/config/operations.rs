//! The settings of what whoever runs Keytile watches.

use std::net::SocketAddr;

use clap::Args;

use crate::domain::setting::Setting;

/// Figures and traces.
#[derive(Debug, Clone, Args)]
pub struct OperationsConfig {
    /// Serve figures for Prometheus (`/metrics`) on this address and port, over plain HTTP. Off by default; keep it
    /// where only Prometheus can reach it.
    #[arg(long, env = "KEYTILE_METRICS_LISTEN", value_name = "ADDR:PORT")]
    pub metrics_listen: Option<SocketAddr>,
}

impl OperationsConfig {
    /// Every setting with its value, for the audit trail.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let setting = |name, value: String, default| Setting { name, value, default, secret: false };
        vec![setting("metrics-listen", self.metrics_listen.map(|address| address.to_string()).unwrap_or_default(), "")]
    }
}
