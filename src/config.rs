//! Every setting: its flag, its `KEYTILE_` variable, its default. `docs/configuration.md` has the same content, and
//! a test compares the two.

mod operations;
mod single_sign_on;
mod text;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use url::Url;

use self::text::listed;
pub use self::{
    operations::OperationsConfig,
    single_sign_on::{SSO_CLIENT_SECRET_VARIABLE, SingleSignOnConfig},
};
use crate::{domain::setting::Setting, upstream::EgressPin};

/// The variable that contains the keyring itself, for containers. It has no flag, because every user of the machine
/// can read the command line.
pub const KEYRING_VALUE_VARIABLE: &str = "KEYTILE_KEYRING_VALUE";

/// The settings of `keytile serve`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port to listen on. Beyond loopback, `--public-url` is required.
    #[arg(long, env = "KEYTILE_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8440")]
    pub listen: SocketAddr,

    /// The address that people open, if it's not the listening address. Requests for other host names are refused.
    #[arg(long, env = "KEYTILE_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Url>,

    /// The certificate for serving TLS, with its chain (PEM). Reloaded when it changes and on SIGHUP.
    #[arg(long, env = "KEYTILE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM: PKCS#8, PKCS#1 or SEC1), without a passphrase.
    #[arg(long, env = "KEYTILE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Addresses of reverse proxies whose X-Forwarded-For header is trusted. Can be repeated; in the variable,
    /// separate them with commas.
    #[arg(long, env = "KEYTILE_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',', value_parser = trusted_proxy)]
    pub trusted_proxy: Vec<IpNet>,

    /// Settings of where things are kept.
    #[command(flatten)]
    pub storage: StorageConfig,

    /// A folder with additional connector files.
    #[arg(long, env = "KEYTILE_CONNECTORS", value_name = "DIR")]
    pub connectors: Option<PathBuf>,

    /// Send connections for matching hosts to this address and port. The TLS server name and the Host header stay
    /// the same. The pattern is a host name or `*.domain`. With `http://` before the address, the proxy forwards
    /// requests to it without TLS. Can be repeated; in the variable, separate them with commas.
    #[arg(long, env = "KEYTILE_EGRESS_PIN", value_name = "HOST-PATTERN=ADDR:PORT", value_delimiter = ',')]
    pub egress_pin: Vec<EgressPin>,

    /// Allow connections to this range of private addresses. Can be repeated; in the variable, separate them with
    /// commas.
    #[arg(long, env = "KEYTILE_ALLOW_PRIVATE_EGRESS", value_name = "CIDR", value_delimiter = ',')]
    pub allow_private_egress: Vec<IpNet>,

    /// A file with certificate authorities (PEM) to trust in addition to the public ones.
    #[arg(long, env = "KEYTILE_EXTRA_CA", value_name = "FILE")]
    pub extra_ca: Option<PathBuf>,

    /// Start the sandbox and send all connections for its hosts to it, to try Keytile without an account.
    #[arg(long, env = "KEYTILE_SANDBOX", value_parser = clap::builder::BoolishValueParser::new())]
    pub sandbox: bool,

    /// Require two-step verification with a password. People who haven't set it up must do so first.
    #[arg(long, env = "KEYTILE_REQUIRE_SECOND_FACTOR", value_parser = clap::builder::BoolishValueParser::new())]
    pub require_second_factor: bool,

    /// Settings of single sign-on.
    #[command(flatten)]
    pub single_sign_on: SingleSignOnConfig,

    /// Settings of metrics and traces.
    #[command(flatten)]
    pub operations: OperationsConfig,

    /// Settings of the log.
    #[command(flatten)]
    pub log: LogConfig,
}

/// Where things are kept.
#[derive(Debug, Clone, Args)]
pub struct StorageConfig {
    /// The folder for the database and the keyring. Created with mode 0700 if it doesn't exist.
    #[arg(long, env = "KEYTILE_DATA_DIR", value_name = "DIR", default_value = "keytile-data")]
    pub data_dir: PathBuf,

    /// `sqlite:PATH` or `postgres://…`. By default, `keytile.db` in the data folder. Put a password in the
    /// variable, not on the command line.
    #[arg(long, env = "KEYTILE_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,

    /// The keyring: a file with mode 0600. By default, `keyring` in the data folder.
    #[arg(long, env = "KEYTILE_KEYRING", value_name = "FILE")]
    pub keyring: Option<PathBuf>,
}

/// How and what to log.
#[derive(Debug, Clone, Args)]
pub struct LogConfig {
    /// For people, or one JSON object per line.
    #[arg(long, env = "KEYTILE_LOG_FORMAT", value_name = "FORMAT", default_value = "pretty")]
    pub log_format: LogFormat,

    /// The lowest level to log: error, warn, info, debug or trace.
    #[arg(long, env = "KEYTILE_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

/// The URL of a database. Has no `Display`, because it may contain a password.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL as it was given, with its password.
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

    /// Accepts any text, because an error here would be printed together with the password.
    /// [`Store::open`](crate::store::Store::open) reports what is wrong.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl Config {
    /// The URL that people open.
    pub fn address(&self, listening: SocketAddr) -> Url {
        address(self.public_url.as_ref(), self.tls_cert.is_some(), listening)
    }

    /// Every setting with its value, for the audit trail. Values that must not be readable at rest are marked as
    /// secret.
    pub fn settings(&self) -> Vec<Setting> {
        let (storage, log) = (&self.storage, &self.log);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let setting = |name, value: String, default| Setting { name, value, default, secret: false };
        let switch = |name, on: bool| setting(name, if on { "true".to_owned() } else { String::new() }, "");
        let database = storage.database_url.as_ref().map(|url| url.expose().to_owned()).unwrap_or_default();
        let mut settings = vec![
            setting("listen", self.listen.to_string(), "127.0.0.1:8440"),
            setting("public-url", self.public_url.as_ref().map(Url::to_string).unwrap_or_default(), ""),
            setting("tls-cert", path(&self.tls_cert), ""),
            setting("tls-key", path(&self.tls_key), ""),
            setting("trusted-proxy", listed(&self.trusted_proxy), ""),
            setting("data-dir", storage.data_dir.display().to_string(), "keytile-data"),
            Setting { secret: true, ..setting("database-url", database, "") },
            setting("keyring", path(&storage.keyring), ""),
            setting("connectors", path(&self.connectors), ""),
            // Hosts may contain the value of a credential's field, which must not be readable at rest.
            Setting { secret: true, ..setting("egress-pin", listed(&self.egress_pin), "") },
            setting("allow-private-egress", listed(&self.allow_private_egress), ""),
            setting("extra-ca", path(&self.extra_ca), ""),
            switch("sandbox", self.sandbox),
            switch("require-second-factor", self.require_second_factor),
        ];
        settings.extend(self.single_sign_on.settings());
        settings.extend(self.operations.settings());
        settings.extend([
            setting("log-format", log.log_format.as_str().to_owned(), "pretty"),
            setting("log-level", log.log_level.as_str().to_ascii_lowercase(), "info"),
        ]);
        settings
    }

    /// Checks settings that can be parsed but not used together. The error is a sentence that names the setting.
    pub fn check(&self) -> Result<(), String> {
        match &self.public_url {
            None if !is_loopback(self.listen.ip()) => Err(format!(
                "--listen: {} is not a loopback address, so --public-url is required: the address that people open. Requests for other host names are refused.",
                self.listen
            )),
            Some(url) if url.scheme() == "http" && self.tls_cert.is_some() => Err(format!(
                "--public-url: {url} is not HTTPS, but with --tls-cert Keytile only serves HTTPS. Use an address that starts with https://."
            )),
            _ => self.single_sign_on.check().and_then(|()| self.operations.check()),
        }
    }

    /// Warnings about settings that are valid but usually a mistake; a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let Some(url) = &self.public_url else { return Vec::new() };
        let https = url.scheme() == "https";
        let mut warnings = Vec::new();
        if !https && !is_loopback(self.listen.ip()) {
            warnings.push(format!(
                "--public-url: {url} is not HTTPS, so others on the network can read passwords and sessions. Use --tls-cert and --tls-key, or a reverse proxy with TLS."
            ));
        }
        if https && self.tls_cert.is_none() && self.trusted_proxy.is_empty() {
            warnings.push(
                "--trusted-proxy is not set. Behind a reverse proxy, all requests seem to come from the proxy's address, in the audit trail and for sign-in limits."
                    .into(),
            );
        }
        warnings
    }
}

impl StorageConfig {
    pub fn keyring_path(&self) -> PathBuf {
        self.keyring.clone().unwrap_or_else(|| self.data_dir.join("keyring"))
    }

    pub fn database(&self) -> DatabaseUrl {
        let default = || DatabaseUrl(format!("sqlite:{}", self.data_dir.join("keytile.db").display()));
        self.database_url.clone().unwrap_or_else(default)
    }
}

/// The URL that people open: the public URL, or that of the listening address.
pub fn address(public_url: Option<&Url>, tls: bool, listening: SocketAddr) -> Url {
    public_url.cloned().unwrap_or_else(|| {
        let start = if tls { "https://localhost/" } else { "http://localhost/" };
        let mut url = Url::parse(start).unwrap_or_else(|_| unreachable!("a constant address parses"));
        // Both fail only for URLs without a host, and this one has a host.
        let _ = url.set_ip_host(listening.ip());
        let _ = url.set_port(Some(listening.port()));
        url
    })
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn trusted_proxy(text: &str) -> Result<IpNet, String> {
    let single = text.parse::<IpAddr>().map(IpNet::from);
    let range: IpNet =
        single.or_else(|_| text.parse()).map_err(|_| "expected a range such as 10.0.0.0/8, or an address".to_owned())?;
    match range.prefix_len() {
        0 => Err("expected a range of proxy addresses; this one contains every address, so any client would be trusted".into()),
        _ => Ok(range),
    }
}

/// Parses a public URL: scheme, host and port only.
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
        return Err("expected only scheme, host and port: Keytile must be at the root of its host".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        config: Config,
    }

    fn config(arguments: &[&str]) -> Config {
        Arguments::try_parse_from(std::iter::once(&"keytile").chain(arguments)).map_err(|error| error.to_string()).unwrap().config
    }

    #[test]
    fn the_address_follows_from_what_is_set() {
        let listening = "127.0.0.1:4000".parse().unwrap();
        assert_eq!(config(&[]).address(listening).as_str(), "http://127.0.0.1:4000/");
        let tls = ["--tls-cert=c", "--tls-key=k"];
        assert_eq!(config(&tls).address(listening).as_str(), "https://127.0.0.1:4000/");
        assert_eq!(config(&["--public-url=https://k.example"]).address(listening).as_str(), "https://k.example/");
    }

    #[test]
    fn beyond_loopback_a_public_address_is_needed() {
        let beyond = "--listen=0.0.0.0:1";
        assert!(config(&[]).check().is_ok());
        assert!(config(&["--listen=[::ffff:127.0.0.1]:1"]).check().is_ok());
        assert!(config(&[beyond]).check().unwrap_err().contains("--public-url is required"));
        assert!(config(&[beyond, "--public-url=http://k.example"]).check().is_ok());
        let mixed = ["--public-url=http://k.example", "--tls-cert=c", "--tls-key=k"];
        assert!(config(&mixed).check().unwrap_err().contains("not HTTPS"));
    }

    #[test]
    fn likely_mistakes_are_told() {
        let told = |arguments: &[&str]| config(arguments).warnings().join(" ");
        assert_eq!(told(&[]), "");
        assert!(told(&["--listen=0.0.0.0:1", "--public-url=http://k.example"]).contains("is not HTTPS"));
        assert_eq!(told(&["--public-url=http://k.example"]), "", "a reverse proxy on the same machine");
        assert!(told(&["--public-url=https://k.example"]).contains("--trusted-proxy"));
        assert_eq!(told(&["--public-url=https://k.example", "--trusted-proxy=127.0.0.1"]), "");
        assert_eq!(told(&["--listen=0.0.0.0:1", "--public-url=https://k.example", "--tls-cert=c", "--tls-key=k"]), "");
    }

    #[test]
    fn a_trusted_proxy_is_a_range_but_not_the_whole_world() {
        let ranges = config(&["--trusted-proxy=10.0.0.0/8,::1", "--trusted-proxy=192.0.2.7"]).trusted_proxy;
        assert_eq!(ranges.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]);
        for wrong in ["0.0.0.0/0", "::/0", "10.0.0.0/33", "proxy.example", ""] {
            assert!(trusted_proxy(wrong).is_err(), "{wrong}");
        }
    }
}
