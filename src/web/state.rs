//! The state that every handler gets.

use std::{net::SocketAddr, sync::Arc};

use url::Url;

use super::server::ServingLimits;
use crate::service::Service;

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub service: Service,
    pub settings: Arc<WebSettings>,
}

/// What is decided when Keytile starts.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// The URL that people open. Requests for another host are refused.
    pub public_url: Url,
    /// The listening address, with the actual port, if no public URL was configured. Loopback names with this port
    /// are allowed too.
    pub loopback: Option<SocketAddr>,
    pub limits: ServingLimits,
    /// True if the sandbox stands in for the services.
    pub sandbox: bool,
    /// What the sandbox accepts for a connector, by the connector's id. Only called if `sandbox` is set.
    pub sandbox_hints: fn(&str) -> Option<SandboxHints>,
}

/// What a user can type to try a connector with the sandbox.
#[derive(Debug, Clone, Copy)]
pub struct SandboxHints {
    /// Values that work, by field id. None of them is secret: the sandbox invents them.
    pub values: &'static [(&'static str, &'static str)],
    /// The field whose value chooses the sandbox's behaviour.
    pub behaviour_field: &'static str,
    /// Values of that field that cause failures on purpose, and their effect.
    pub behaviours: &'static [(&'static str, &'static str)],
}

impl WebState {
    /// What the sandbox accepts for this connector; `None` outside the sandbox.
    pub(super) fn hints(&self, connector: &str) -> Option<SandboxHints> {
        if self.settings.sandbox { (self.settings.sandbox_hints)(connector) } else { None }
    }
}
