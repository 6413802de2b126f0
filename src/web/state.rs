//! What every handler is given.

use std::{net::SocketAddr, sync::Arc};

use url::Url;

use super::server::ServingLimits;
use crate::service::Service;

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    /// What Keytile does.
    pub service: Service,
    /// What was decided when it was started.
    pub settings: Arc<WebSettings>,
}

/// What was decided when Keytile was started.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Where people open Keytile. Requests for another host are refused.
    pub public_url: Url,
    /// Where it listens, with the port that it really got, if no public URL was chosen. Loopback names with this port
    /// are let in too.
    pub loopback: Option<SocketAddr>,
    /// How much, how long and how many.
    pub limits: ServingLimits,
    /// True when a stand-in takes the place of the services.
    pub sandbox: bool,
    /// What the sandbox accepts for a connector, by the connector's id. Asked only when `sandbox` is set.
    pub sandbox_hints: fn(&str) -> Option<SandboxHints>,
}

/// What a person can type to try a connector against the sandbox.
#[derive(Debug, Clone, Copy)]
pub struct SandboxHints {
    /// Values that work, by the id of their field. None of them is secret: the sandbox invents them.
    pub values: &'static [(&'static str, &'static str)],
    /// The field whose value chooses how the sandbox behaves.
    pub behaviour_field: &'static str,
    /// Values of that field that misbehave on purpose, and what they do.
    pub behaviours: &'static [(&'static str, &'static str)],
}

impl WebState {
    /// What the sandbox accepts for this connector; `None` outside the sandbox.
    pub(super) fn hints(&self, connector: &str) -> Option<SandboxHints> {
        if self.settings.sandbox { (self.settings.sandbox_hints)(connector) } else { None }
    }
}
