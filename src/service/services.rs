//! [`Service`], which every use case is a method of, and [`ServiceError`].

use std::sync::{Arc, OnceLock, atomic::AtomicBool};

use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    access::{
        caller::Caller,
        epoch_cache::{Epoch, Remembered},
    },
    api_keys::authenticate::CheckedKeys,
    auth::{sessions::RememberedSession, sso::flow::SignOn},
    call_limit::InFlight,
    connectors::catalogue::Catalogue,
    credentials::Tile,
    operations::{installation::InstallationError, readiness::Watched, tracing::Tracer},
    proxy::admit::Proxying,
    resources::ResourceSummary,
    tokens::{broker::Broker, issue::Issues},
    usage::history::Histories,
    users::setup::Passwords,
};
use crate::{
    crypto::{
        envelope::{OpenError, Place, Sealed},
        hash::{Fingerprint, KeyedChain},
        keyring::Keyring,
        password::{OutOfMemory, PasswordCost},
        random,
    },
    domain::{
        access::permission::Permission,
        credentials::{CredentialSummary, values::FieldValues},
        resources::ResourceKind,
        time::{Clock, Timestamp},
    },
    metrics::Metrics,
    store::{Store, StoreError},
    upstream::Upstream,
};

/// A use case that failed because of Keytile or its database.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// Something sealed can't be opened: it was changed, moved, or sealed with a key that no longer exists.
    #[error("cannot decrypt a sealed value of {table}")]
    Sealed {
        /// The table that it is in.
        table: &'static str,
        #[source]
        cause: OpenError,
    },
    /// Something was opened, but doesn't have the expected format.
    #[error("a sealed value of {table} cannot be read")]
    Unreadable {
        /// The table that it is in.
        table: &'static str,
    },
    /// The caller lacks this permission. The refusal has been recorded.
    #[error("not allowed")]
    Refused(Permission),
    /// The caller has too many calls to services in progress.
    #[error("one person has too many calls in progress")]
    TooMany,
    /// There is not enough memory to hash a password.
    #[error("a password could not be hashed")]
    OutOfMemory(#[from] OutOfMemory),
    /// Something that several callers waited for failed.
    #[error(transparent)]
    Shared(Arc<ServiceError>),
    /// A task ended without a result.
    #[error("the work was interrupted")]
    Interrupted,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Service(pub(in crate::service) Arc<Parts>);

/// The shared state of all use cases.
pub struct Parts {
    pub store: Store,
    pub keyring: Keyring,
    pub upstream: Upstream,
    pub catalogue: Catalogue,
    pub clock: Arc<dyn Clock>,
    pub(in crate::service) fingerprint: Fingerprint,
    pub(in crate::service) chain: KeyedChain,
    pub(in crate::service) passwords: Passwords,
    pub(in crate::service) in_flight: InFlight,
    pub(in crate::service) epoch: Epoch,
    pub(in crate::service) sessions: Remembered<[u8; 32], RememberedSession>,
    pub(in crate::service) keys: CheckedKeys,
    pub(in crate::service) broker: Broker,
    pub(in crate::service) proxying: Proxying,
    pub(in crate::service) issues: Issues,
    pub(in crate::service) histories: Histories,
    /// Empty if single sign-on isn't enabled.
    pub(in crate::service) sign_on: OnceLock<SignOn>,
    pub(in crate::service) second_factor_required: AtomicBool,
    pub(in crate::service) watched: Watched,
    /// Empty if tracing isn't enabled.
    pub(in crate::service) tracer: OnceLock<Tracer>,
    pub(in crate::service) metrics: Metrics,
    /// Work that continues when its request is gone.
    pub(in crate::service) tasks: TaskTracker,
}

/// The lists of the home page.
pub struct Overview {
    /// Credentials whose last verification failed, at most 20.
    pub attention: Vec<Tile>,
    /// The newest sources, at most 20.
    pub sources: Vec<ResourceSummary>,
    /// The newest destinations, at most 20.
    pub destinations: Vec<ResourceSummary>,
}

/// The most entries in each list of the home page.
pub const OVERVIEW_LIMIT: i64 = 20;

impl Service {
    /// Runs work to its end even if the caller goes away, so that what was started is recorded, and a lost
    /// connection doesn't leave work half done.
    pub(super) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.0
            .tasks
            .spawn(super::operations::tracing::carried(work.in_current_span()))
            .await
            .map_err(|_| ServiceError::Interrupted)?
    }

    /// Creates the service. Fails if the keyring doesn't fit the database.
    pub async fn new(
        store: Store,
        keyring: Keyring,
        upstream: Upstream,
        catalogue: Catalogue,
        clock: Arc<dyn Clock>,
        cost: PasswordCost,
    ) -> Result<Self, InstallationError> {
        let fingerprint = super::operations::installation::check(&store, &keyring, clock.now()).await?;
        let chain = KeyedChain::derived_from(&fingerprint);
        Ok(Self(Arc::new(Parts {
            store,
            keyring,
            upstream,
            catalogue,
            fingerprint,
            chain,
            passwords: Passwords::new(cost),
            in_flight: InFlight::default(),
            epoch: Epoch::new(Arc::clone(&clock)),
            clock,
            sessions: Remembered::new(),
            keys: CheckedKeys::new(),
            broker: Broker::new(),
            proxying: Proxying::new(),
            issues: Issues::new(),
            histories: Histories::new(),
            sign_on: OnceLock::new(),
            second_factor_required: AtomicBool::new(false),
            watched: Watched::new(),
            tracer: OnceLock::new(),
            metrics: Metrics::new(),
            tasks: TaskTracker::new(),
        })))
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// A new id for a form, so that submitting the form twice takes effect once.
    pub fn new_form(&self) -> Uuid {
        random::new_id(self.now())
    }

    /// The lists of the home page, with what the caller may see.
    pub async fn overview(&self, caller: &Caller) -> Result<Overview, ServiceError> {
        let viewer = self.viewer(caller, "seeing the home page").await?;
        let store = &self.0.store;
        let attention = store.credentials_needing_attention(viewer, OVERVIEW_LIMIT).await?;
        let sources = store.resources_page(viewer, ResourceKind::Source, None, OVERVIEW_LIMIT).await?;
        let destinations = store.resources_page(viewer, ResourceKind::Destination, None, OVERVIEW_LIMIT).await?;
        Ok(Overview {
            attention: self.own_tiles(caller, attention),
            sources: sources.into_iter().map(ResourceSummary::from).collect(),
            destinations: destinations.into_iter().map(ResourceSummary::from).collect(),
        })
    }

    /// Waits for background work, writes the usage history, then closes the database.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        if let Err(error) = self.write_history().await {
            tracing::error!(error = &error as &dyn std::error::Error, "could not write the last usage of credentials");
        }
        self.close_traces().await;
        self.0.store.close().await;
    }

    pub(super) fn new_id(&self) -> Uuid {
        random::new_id(self.now())
    }

    pub(super) fn open(&self, place: &Place<'_>, packed: &[u8]) -> Result<Zeroizing<Vec<u8>>, ServiceError> {
        self.0.keyring.open_packed(place, packed).map_err(|cause| ServiceError::Sealed { table: place.table, cause })
    }

    pub(super) fn open_values(&self, credential: &CredentialSummary, sealed: &Sealed) -> Result<FieldValues, ServiceError> {
        let place = Place::credential_secret(credential.id, credential.version, &credential.connector);
        let opened = self.0.keyring.open(&place, sealed).map_err(|cause| ServiceError::Sealed { table: place.table, cause })?;
        FieldValues::from_bytes(&opened).ok_or(ServiceError::Unreadable { table: place.table })
    }
}
