//! Every setting: its flag, its `KEYTILE_` variable, its default. `docs/configuration.md` says the same, and
//! a test keeps the two equal.

mod single_sign_on;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use url::Url;

pub use self::single_sign_on::{SSO_CLIENT_SECRET_VARIABLE, SingleSignOnConfig};
use crate::upstream::EgressPin;

/// The variable that holds the keyring itself, for containers. It has no flag, because what stands on a
/// command line can be read by every user of the machine.
pub const KEYRING_VALUE_VARIABLE: &str = "KEYTILE_KEYRING_VALUE";

/// The settings of `keytile serve`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port to listen on. Until there are accounts, it must be a loopback address.
    #[arg(long, env = "KEYTILE_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8440")]
    pub listen: SocketAddr,

    /// The address that people open, when it is not the one listened on.
    #[arg(long, env = "KEYTILE_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Url>,

    /// Settings of where things are kept.
    #[command(flatten)]
    pub storage: StorageConfig,

    /// A folder with more connector files.
    #[arg(long, env = "KEYTILE_CONNECTORS", value_name = "DIR")]
    pub connectors: Option<PathBuf>,

    /// Send connections for matching hosts to this address and port; TLS name and Host header stay as they
    /// are. The pattern is a host name or `*.domain`. Can be repeated; in the variable, separated by commas.
    #[arg(long, env = "KEYTILE_EGRESS_PIN", value_name = "HOST-PATTERN=ADDR:PORT", value_delimiter = ',')]
    pub egress_pin: Vec<EgressPin>,

    /// Allow connections to this range of private addresses. Can be repeated; in the variable, separated by
    /// commas.
    #[arg(long, env = "KEYTILE_ALLOW_PRIVATE_EGRESS", value_name = "CIDR", value_delimiter = ',')]
    pub allow_private_egress: Vec<IpNet>,

    /// A file of certificate authorities (PEM) that are trusted in addition to the public ones.
    #[arg(long, env = "KEYTILE_EXTRA_CA", value_name = "FILE")]
    pub extra_ca: Option<PathBuf>,

    /// Start the sandbox and send every connection for its hosts to it: for trying Keytile without an account.
    #[arg(long, env = "KEYTILE_SANDBOX", value_parser = clap::builder::BoolishValueParser::new())]
    pub sandbox: bool,

    /// Settings of single sign-on.
    #[command(flatten)]
    pub single_sign_on: SingleSignOnConfig,

    /// Settings of the log.
    #[command(flatten)]
    pub log: LogConfig,
}

/// Where things are kept.
#[derive(Debug, Clone, Args)]
pub struct StorageConfig {
    /// The folder for the database and the keyring. Made with mode 0700 if it is not there.
    #[arg(long, env = "KEYTILE_DATA_DIR", value_name = "DIR", default_value = "keytile-data")]
    pub data_dir: PathBuf,

    /// `sqlite:PATH` or `postgres://…`; `keytile.db` in the data folder by default. A password belongs in the
    /// variable, not on the command line.
    #[arg(long, env = "KEYTILE_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,

    /// The keyring: a file of mode 0600; `keyring` in the data folder by default.
    #[arg(long, env = "KEYTILE_KEYRING", value_name = "FILE")]
    pub keyring: Option<PathBuf>,
}

/// How and what to log.
#[derive(Debug, Clone, Args)]
pub struct LogConfig {
    /// For people, or one JSON object a line.
    #[arg(long, env = "KEYTILE_LOG_FORMAT", value_name = "FORMAT", default_value = "pretty")]
    pub log_format: LogFormat,

    /// The least level that is logged: error, warn, info, debug or trace.
    #[arg(long, env = "KEYTILE_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The address of a database. Has no `Display`, because it may hold a password.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address as it was given, with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True for the embedded database.
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.split(':').next().unwrap_or_default())
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    /// Takes any text: an error here would be printed together with the password. What is wrong with it
    /// is said by [`Store::open`](crate::store::Store::open).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl Config {
    /// The address that people open.
    pub fn address(&self, listening: SocketAddr) -> Url {
        address(self.public_url.as_ref(), listening)
    }

    /// Settings that parse but cannot be used together. The error is a sentence that names the setting.
    pub fn check(&self) -> Result<(), String> {
        if !is_loopback(self.listen.ip()) {
            return Err(format!(
                "--listen: {} is not a loopback address. Until Keytile has accounts, anybody who reaches it could use every credential; listen on 127.0.0.1 or [::1].",
                self.listen
            ));
        }
        self.single_sign_on.check()
    }
}

impl StorageConfig {
    /// Where the keyring is.
    pub fn keyring_path(&self) -> PathBuf {
        self.keyring.clone().unwrap_or_else(|| self.data_dir.join("keyring"))
    }

    /// Where the database is.
    pub fn database(&self) -> DatabaseUrl {
        let default = || DatabaseUrl(format!("sqlite:{}", self.data_dir.join("keytile.db").display()));
        self.database_url.clone().unwrap_or_else(default)
    }
}

/// The address that people open: the public one, or that of where Keytile listens.
pub fn address(public_url: Option<&Url>, listening: SocketAddr) -> Url {
    public_url.cloned().unwrap_or_else(|| {
        let mut url = Url::parse("http://localhost/").unwrap_or_else(|_| unreachable!("a constant address parses"));
        // Both fail only for addresses that have no host, and this one has.
        let _ = url.set_ip_host(listening.ip());
        let _ = url.set_port(Some(listening.port()));
        url
    })
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Reads a public address: scheme, host and port only.
pub fn public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("expected an address such as https://keytile.example.com".into());
    }
    if url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("expected only scheme, host and port: Keytile has to be at the root of its host".into());
    }
    Ok(url)
}
