//! Builds an [`App`] from a [`Config`] and a clock, and serves it. Used by the program and the tests.

mod single_sign_on;
mod start_error;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use self::start_error::StartError;
use crate::{
    config::{Config, KEYRING_VALUE_VARIABLE, StorageConfig},
    crypto::{
        keyring::{Keyring, KeyringError},
        password::PasswordCost,
    },
    domain::time::Clock,
    sandbox::{self, Sandbox},
    service::{Service, ServiceError, connectors::catalogue::Catalogue, usage},
    store::Store,
    upstream::{self, EgressPin, Limits, Nameserver, Upstream, UpstreamSettings},
    web::{
        self, SandboxHints, TrustedProxies, WebSettings, WebState,
        server::{Certificate, ScrapeServer, Server, ServingLimits, Workers},
    },
};

/// How often expired data is deleted.
const CLEANING: Duration = Duration::from_secs(60);
/// How long background work may take to finish after the stop signal.
const STOPPING: Duration = Duration::from_secs(30);

/// Keytile, ready to serve.
pub struct App {
    service: Service,
    sandbox: Option<Sandbox>,
    server: Server,
    scraped: Option<ScrapeServer>,
    address: Url,
    made_keyring: Option<PathBuf>,
}

/// What a test may set that an operator cannot.
#[derive(Debug, Clone)]
pub struct Overrides {
    /// Where names are looked up.
    pub nameserver: Nameserver,
    /// The limits of outgoing calls.
    pub limits: Limits,
    /// The cost of hashing a password.
    pub password_cost: PasswordCost,
    pub serving: ServingLimits,
}

impl Default for Overrides {
    fn default() -> Self {
        Self {
            nameserver: Nameserver::default(),
            limits: Limits::default(),
            password_cost: PasswordCost::RECOMMENDED,
            serving: ServingLimits::default(),
        }
    }
}

impl App {
    /// Opens or creates what the settings name, and starts to listen.
    pub async fn build(config: &Config, clock: Arc<dyn Clock>, overrides: Overrides) -> Result<Self, StartError> {
        config.check().map_err(StartError::Setting)?;
        let catalogue = Catalogue::load(config.connectors.as_deref())?;
        let certificate = match (&config.tls_cert, &config.tls_key) {
            (Some(chain), Some(key)) => Some(Arc::new(Certificate::load(chain, key).map_err(StartError::Setting)?)),
            _ => None,
        };
        let (listener, listen) = listen_on("--listen", config.listen).await?;
        let scraped = match config.operations.metrics_listen {
            Some(address) => Some(listen_on("--metrics-listen", address).await?.0),
            None => None,
        };
        let (store, keyring, made_keyring) = open_storage(&config.storage).await?;
        let sandbox = match config.sandbox {
            true => Some(Sandbox::start(SocketAddr::from(([127, 0, 0, 1], 0)), clock.clone()).await.map_err(StartError::Sandbox)?),
            false => None,
        };
        let cost = overrides.password_cost.clone();
        let limits = overrides.serving.clone().within_system();
        let settings = upstream_settings(config, sandbox.as_ref(), overrides)?;
        let upstream = Upstream::new(settings, clock.clone())?;
        let service = Service::new(store, keyring, upstream, catalogue, clock, cost).await?;
        service.record_settings(&config.settings()).await?;
        log_end_of_audit_trail(&service).await;
        let address = config.address(listen);
        if config.require_second_factor {
            service.require_second_factor();
        }
        if let Some(sign_on) = single_sign_on::settings(&config.single_sign_on, &address)? {
            service.use_single_sign_on(sign_on);
        }
        if let Some(endpoint) = &config.operations.otlp_endpoint {
            let used = service.use_collector(endpoint, config.operations.otlp_sampling);
            used.map_err(|reason| StartError::Setting(format!("--otlp-endpoint: {reason}")))?;
        }
        let settings = WebSettings {
            public_url: address.clone(),
            loopback: config.public_url.is_none().then_some(listen),
            limits: limits.clone(),
            sandbox: sandbox.is_some(),
            sandbox_hints,
        };
        let state = WebState { service: service.clone(), settings: Arc::new(settings) };
        let proxy = web::Proxy::new(&state);
        let router = web::router(state);
        let workers = Arc::new(Workers::start(limits.workers).map_err(StartError::Threads)?);
        let trusted = TrustedProxies::new(&config.trusted_proxy);
        let server = Server { listener, router, proxy, limits, certificate, trusted, workers };
        let scraped = scraped.map(|listener| ScrapeServer { listener, service: service.clone() });
        Ok(Self { service, sandbox, server, scraped, address, made_keyring })
    }

    /// The URL that people open.
    pub fn address(&self) -> &Url {
        &self.address
    }

    /// The address that it listens on, with the actual port.
    pub fn listening(&self) -> io::Result<SocketAddr> {
        self.server.listener.local_addr()
    }

    /// The address of the metrics listener, with the actual port; `None` if it is off.
    pub fn metrics_listening(&self) -> Option<io::Result<SocketAddr>> {
        self.scraped.as_ref().map(ScrapeServer::listening)
    }

    /// The URL for creating the first administrator; `None` once there is one.
    pub async fn setup_address(&self) -> Result<Option<Url>, StartError> {
        let failed = |error: ServiceError| StartError::Setting(error.to_string());
        let Some(token) = self.service.setup_token().await.map_err(failed)? else { return Ok(None) };
        let mut address = self.address.clone();
        address.set_path("/setup");
        address.query_pairs_mut().append_pair("token", token.expose_secret());
        Ok(Some(address))
    }

    /// The keyring file that this start created, because the database was new.
    pub fn made_keyring(&self) -> Option<&Path> {
        self.made_keyring.as_deref()
    }

    /// The use cases, for tests and benchmarks.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Serves until `stop` is ready; then finishes requests in progress and background work.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let cleaning = tokio::spawn(clean(self.service.clone()));
        let workers = Arc::clone(&self.server.workers);
        let writing = tokio::spawn(write_history(self.service.clone()));
        let stopping = CancellationToken::new();
        // Runs until the last response has ended, so that the shutdown can be observed too.
        let scraped = self.scraped.map(|server| tokio::spawn(server.serve(stopping.clone())));
        self.server.serve(stop).await;
        cleaning.abort();
        writing.abort();
        stopping.cancel();
        if let Some(scraped) = scraped
            && scraped.await.is_err()
        {
            tracing::error!("the listener for metrics stopped early");
        }
        log_end_of_audit_trail(&self.service).await;
        if tokio::time::timeout(STOPPING, self.service.close()).await.is_err() {
            tracing::warn!("work was still in progress after {} s and was stopped", STOPPING.as_secs());
        }
        // Dropped only now, because connections to the database may have been opened on these threads.
        drop(workers);
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
        Ok(())
    }
}

/// A listener for the address of a setting, and that address with the actual port.
async fn listen_on(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |cause| StartError::Listen { setting, address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let got = listener.local_addr().map_err(failed)?;
    Ok((listener, got))
}

/// The service alone, for tests and commands without a server. Only opens the stored data.
pub async fn open_service(config: &StorageConfig, clock: Arc<dyn Clock>) -> Result<Service, StartError> {
    let (store, keyring, _) = open_storage(config).await?;
    service_of_command(store, keyring, clock).await
}

/// The service for a command on the server, which makes no outgoing calls.
async fn service_of_command(store: Store, keyring: Keyring, clock: Arc<dyn Clock>) -> Result<Service, StartError> {
    let overrides = Overrides::default();
    let settings = UpstreamSettings {
        pins: Vec::new(),
        allow_private: Vec::new(),
        extra_ca: Vec::new(),
        nameserver: overrides.nameserver,
        limits: overrides.limits,
    };
    let upstream = Upstream::new(settings, clock.clone())?;
    Ok(Service::new(store, keyring, upstream, Catalogue::load(None)?, clock, overrides.password_cost).await?)
}

/// Logs the end of the audit trail. Since logs are kept elsewhere, this proves later that the end wasn't cut off.
async fn log_end_of_audit_trail(service: &Service) {
    match service.audit_end().await {
        Ok(end) => tracing::info!(%end, "the last event of the audit trail"),
        Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "cannot read the end of the audit trail"),
    }
}

/// Writes again and again what was counted. Stopped in between, it is written at the end.
async fn write_history(service: Service) {
    let mut ticks = tokio::time::interval(usage::WRITTEN_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = service.write_history().await {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot write the usage of credentials; trying again later");
        }
    }
}

async fn clean(service: Service) {
    let mut ticks = tokio::time::interval(CLEANING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = service.delete_expired().await {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot delete expired data");
        }
    }
}

/// Opens database and keyring. Creates a keyring only for an embedded database that contains nothing sealed: with
/// any other, a new keyring would hide that the right one is missing.
pub async fn open_storage(config: &StorageConfig) -> Result<(Store, Keyring, Option<PathBuf>), StartError> {
    let database = config.database();
    if config.database_url.is_none() || config.keyring.is_none() {
        make_data_dir(&config.data_dir)?;
    }
    let opened = Store::open(database.expose()).await;
    let store = match (opened, &config.database_url) {
        (Ok(store), _) => store,
        (Err(error), Some(_)) => return Err(error.into()),
        // The error names `--database-url`, but here the path follows from the data folder.
        (Err(error), None) => return Err(StartError::Setting(error.to_string().replacen("--database-url", "--data-dir", 1))),
    };
    if let Some(value) = keyring_value() {
        return Ok((store, parse_keyring(&value)?, None));
    }
    let path = config.keyring_path();
    match Keyring::load(&path) {
        Err(KeyringError::Missing { .. }) => {}
        loaded => return Ok((store, loaded?, None)),
    }
    let holds_sealed_rows = store.holds_sealed_rows().await?;
    let created = match database.is_sqlite() && !holds_sealed_rows {
        true => Some(Keyring::create(&path)),
        false => None,
    };
    let exists = match created {
        Some(Ok(keyring)) => return Ok((store, keyring, Some(path))),
        Some(Err(error @ KeyringError::Exists { .. })) => Some(error),
        Some(Err(error)) => return Err(error.into()),
        None => None,
    };
    // Checked again, because another instance may have started at the same moment. It creates the keyring before it
    // seals anything, so whoever has seen its sealed rows finds its keyring now.
    match (Keyring::load(&path), exists) {
        (Err(KeyringError::Missing { .. }), Some(exists)) => Err(exists.into()),
        (Err(KeyringError::Missing { .. }), None) if holds_sealed_rows => Err(StartError::Setting(format!(
            "--keyring: {} is missing, but the database already contains sealed values. Restore the keyring that sealed them; without it, they can't be opened.",
            path.display()
        ))),
        (Err(KeyringError::Missing { .. }), None) => Err(StartError::Setting(format!(
            "--keyring: {} is missing. Run `keytile init` once to create it, and give the same keyring to every instance of this database.",
            path.display()
        ))),
        (loaded, _) => Ok((store, loaded?, None)),
    }
}

/// The service for a command on the server, with an existing database and keyring. It works while Keytile runs.
/// Creates neither: a command that finds nothing was given the wrong location.
pub async fn existing_service(config: &StorageConfig, clock: Arc<dyn Clock>) -> Result<Service, StartError> {
    let keyring = match keyring_value() {
        Some(value) => parse_keyring(&value)?,
        None => Keyring::load(&config.keyring_path()).map_err(|error| match error {
            KeyringError::Missing { .. } => StartError::Setting(format!(
                "--keyring: {} is missing. Use the same keyring as the server.",
                config.keyring_path().display()
            )),
            error => error.into(),
        })?,
    };
    let database = config.database();
    if !Store::exists(database.expose())? {
        let setting = if config.database_url.is_none() { "--data-dir" } else { "--database-url" };
        return Err(StartError::Setting(format!(
            "{setting}: there is no database yet. Use the same database as the server, or start Keytile once to create it."
        )));
    }
    service_of_command(Store::open(database.expose()).await?, keyring, clock).await
}

/// Creates the data folder if it doesn't exist, for its owner only.
pub fn make_data_dir(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| StartError::File { setting: "--data-dir", doing: "cannot be created", path: path.to_owned(), cause })
}

/// Parses the keyring in the variable. The error names the flag, which is replaced by the variable.
fn parse_keyring(value: &SecretString) -> Result<Keyring, StartError> {
    let named = |error: KeyringError| StartError::Setting(error.to_string().replacen("--keyring", KEYRING_VALUE_VARIABLE, 1));
    Keyring::parse(value).map_err(named)
}

fn keyring_value() -> Option<SecretString> {
    std::env::var(KEYRING_VALUE_VARIABLE).ok().filter(|value| !value.trim().is_empty()).map(SecretString::from)
}

fn upstream_settings(config: &Config, sandbox: Option<&Sandbox>, overrides: Overrides) -> Result<UpstreamSettings, StartError> {
    let mut pins = config.egress_pin.clone();
    let mut extra_ca = Vec::new();
    if let Some(path) = &config.extra_ca {
        let failed = |cause| StartError::File { setting: "--extra-ca", doing: "cannot be read", path: path.clone(), cause };
        let pem = fs::read(path).map_err(failed)?;
        let read = upstream::read_ca_file(&pem);
        extra_ca = read.map_err(|reason| StartError::Setting(format!("--extra-ca: {}: {reason}", path.display())))?;
    }
    if let Some(sandbox) = sandbox {
        let pins_of_sandbox: Result<Vec<EgressPin>, String> = sandbox_pins(sandbox).iter().map(|pin| pin.parse()).collect();
        pins.extend(pins_of_sandbox.map_err(StartError::Setting)?);
        extra_ca.push(sandbox.ca_der());
    }
    Ok(UpstreamSettings {
        pins,
        allow_private: config.allow_private_egress.clone(),
        extra_ca,
        nameserver: overrides.nameserver,
        limits: overrides.limits,
    })
}

fn sandbox_hints(connector: &str) -> Option<SandboxHints> {
    let hints = sandbox::hints(connector)?;
    Some(SandboxHints { values: hints.values, behaviour_field: hints.behaviour_field, behaviours: hints.behaviours })
}

/// The pins, as `--egress-pin` accepts them, that send all connections for the sandbox's hosts to it.
pub fn sandbox_pins(sandbox: &Sandbox) -> Vec<String> {
    Sandbox::host_patterns().iter().map(|pattern| format!("{pattern}={}", sandbox.address())).collect()
}
