//! Why Keytile does not start.

use std::{io, net::SocketAddr, path::PathBuf};

use crate::{
    crypto::keyring::KeyringError,
    domain::error_causes::with_causes,
    service::{InstallationError, ServiceError, connectors::catalogue::CatalogueError},
    store::StoreError,
    upstream::UpstreamError,
};

/// Why Keytile does not start. Each says which setting to look at.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that parses but cannot be used.
    #[error("{0}")]
    Setting(String),
    /// A file or folder of a setting.
    #[error("{setting}: {} {doing}: {cause}", path.display())]
    File {
        /// The setting's flag.
        setting: &'static str,
        /// What could not be done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The database.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The keyring.
    #[error("{0}")]
    Keyring(#[from] KeyringError),
    /// The keyring beside the database.
    #[error("{0}")]
    Installation(#[from] InstallationError),
    /// The connectors.
    #[error("{0}")]
    Catalogue(#[from] CatalogueError),
    /// What calls out.
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
    /// What is done with the database at the start, such as recording that settings have changed.
    #[error("{}", with_causes(.0))]
    Service(#[from] ServiceError),
    /// The address to listen on.
    #[error("{setting}: cannot listen on {address}: {cause}")]
    Listen {
        /// The setting's flag.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The threads that serve connections.
    #[error("cannot start the threads that serve connections: {0}")]
    Threads(io::Error),
    /// The sandbox.
    #[error("--sandbox: cannot start the sandbox: {0}")]
    Sandbox(io::Error),
}
