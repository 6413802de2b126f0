//! Admission: whether an API client may send a request of a resource, and by which [`Route`].
//!
//! The decision needs no database query in the usual case: the key, the resource with its egress policy, and the
//! token are cached, each no longer than the access epoch in which it was read (see `access::epoch_cache`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    connection_cache::{Known, Visit},
    rate_limit::Rates,
};
use crate::{
    domain::{
        api_keys::Scope,
        resources::{
            ResourceId, ResourceKind,
            egress_policy::{Breach, EgressPolicy},
            request_path::{PathFault, RequestPath},
        },
        tokens::state::Moment,
        usage::{Asker, TokenSource, Use, UseAction, UseOutcome},
        users::UserId,
    },
    service::{
        Service, ServiceError,
        access::{caller::Origin, epoch_cache::Remembered},
        resources::read::OpenedEndpoint,
        tokens::broker::{Brokered, Slot},
    },
    upstream::ApiTarget,
};

/// What an instance caches for the proxy.
pub(in crate::service) struct Proxying {
    routes: Remembered<(UserId, ResourceId), Arc<Route>>,
    rates: Rates,
}

impl Proxying {
    pub(in crate::service) fn new() -> Self {
        Self { routes: Remembered::new(), rates: Rates::new() }
    }

    /// The number of cached routes.
    pub(in crate::service) fn count(&self) -> u64 {
        self.routes.count()
    }
}

/// A resource that a user may use: where its requests go, and what they may be.
pub struct Route {
    pub(super) resource: ResourceId,
    /// The user for whom it was read.
    owner: UserId,
    kind: ResourceKind,
    pub(super) policy: EgressPolicy,
    pub(super) credential: Arc<Brokered>,
    pub(super) target: ApiTarget,
}

impl Route {
    pub fn resource(&self) -> ResourceId {
        self.resource
    }

    pub fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// What the requests may be.
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }
}

/// The result of looking up a resource.
enum Found {
    Route(Arc<Route>),
    Nothing,
    Unusable,
}

/// Whether an API client may send a request.
pub enum Admission {
    Admitted(Admitted),
    /// The key can't be used now.
    KeyRejected,
    /// The key doesn't have the scope `proxy`.
    ScopeMissing,
    /// The key's owner has no such resource, or the key isn't for it.
    NoSuchResource,
    /// The credential's values don't make a valid API address; its manager has to correct them.
    Unusable,
}

/// A request that an API client may send.
pub struct Admitted {
    /// The route and its token slot. Shared only within its connection: a reference count shared by all connections
    /// would be contended by all threads.
    pub(super) known: Arc<Known>,
    /// When the request arrived.
    pub(super) at: Moment,
}

impl Admitted {
    pub fn route(&self) -> &Arc<Route> {
        &self.known.route
    }

    /// The slot of the credential's token; `None` if no token was held yet.
    pub(super) fn slot(&self) -> Option<&Arc<Slot>> {
        self.known.slot.as_ref()
    }
}

impl Service {
    /// Counts how an admitted request ended and how long it took, in the history of its resource.
    pub fn count_request(&self, admitted: &Admitted, token: TokenSource, outcome: UseOutcome, took: Duration) {
        let Admitted { known, at } = admitted;
        let route = &known.route;
        self.count_use(&Use {
            at: at.wall,
            credential: route.credential.id,
            resource: Some(route.resource),
            asker: Asker::Key(known.key.identity.id),
            action: UseAction::Request,
            token,
            outcome,
            took,
        });
    }

    /// Decides whether this key may send requests of a resource. `since` is when the request arrived.
    pub async fn admit(
        &self,
        visit: &Visit,
        presented: &str,
        resource: ResourceId,
        since: Instant,
        origin: impl FnOnce() -> Origin,
    ) -> Result<Admission, ServiceError> {
        let at = self.moment_at(since);
        if let Some(admitted) = self.recall(visit, presented, resource, since, at) {
            return Ok(Admission::Admitted(admitted));
        }
        // Boxed to keep the hot future small.
        Box::pin(self.look_up(visit, presented, resource, at, origin)).await
    }

    async fn look_up(
        &self,
        visit: &Visit,
        presented: &str,
        resource: ResourceId,
        at: Moment,
        origin: impl FnOnce() -> Origin,
    ) -> Result<Admission, ServiceError> {
        // Read before everything that is cached with it.
        let reading = self.0.epoch.reading(&self.0.store).await?;
        let key = match self.identify_key(presented, at.wall, origin).await? {
            Ok(key) => key,
            Err(_) => return Ok(Admission::KeyRejected),
        };
        let identity = &key.identity;
        if !identity.scopes.allow(Scope::Proxy) {
            return Ok(Admission::ScopeMissing);
        }
        if !identity.reaches(resource) {
            return Ok(Admission::NoSuchResource);
        }
        let whose = (identity.owner.id, resource);
        let found = match self.0.metrics.resources.counted(self.0.proxying.routes.get(&whose, reading.value)) {
            Some(route) => Found::Route(route),
            None => self.find_route(identity.owner.id, resource, reading.value, None).await?,
        };
        Ok(match found {
            Found::Route(route) => {
                let slot = self.slot_at_hand(&route.credential);
                let known = Arc::new(Known { key, route, slot });
                visit.remember(presented, &known, reading);
                Admission::Admitted(Admitted { known, at })
            }
            Found::Nothing => Admission::NoSuchResource,
            Found::Unusable => Admission::Unusable,
        })
    }

    /// The current route, for a request whose credential was changed while it was in progress; `None` if the
    /// resource no longer exists.
    pub(super) async fn renewed(&self, route: &Route) -> Result<Option<Arc<Route>>, ServiceError> {
        self.0.epoch.forget();
        let epoch = self.0.epoch.current(&self.0.store).await?;
        match self.find_route(route.owner, route.resource, epoch, Some(route)).await? {
            Found::Route(route) => Ok(Some(route)),
            Found::Nothing | Found::Unusable => Ok(None),
        }
    }

    /// Reads a route. `outdated` is a route whose credential has a newer version by now.
    async fn find_route(
        &self,
        owner: UserId,
        resource: ResourceId,
        epoch: i64,
        outdated: Option<&Route>,
    ) -> Result<Found, ServiceError> {
        let _turn = self.0.proxying.routes.turn(&(owner, resource)).await;
        let is_other = |route: &Arc<Route>| outdated.is_none_or(|old| old.credential.version != route.credential.version);
        if let Some(route) = self.0.proxying.routes.get(&(owner, resource), epoch).filter(is_other) {
            return Ok(Found::Route(route));
        }
        let Some(row) = self.0.store.resource(owner, resource).await? else { return Ok(Found::Nothing) };
        let credential = self.0.store.credential(row.credential).await?;
        let Some(credential) = credential.map(|row| self.brokered(&row)).transpose()?.flatten() else {
            return Ok(Found::Nothing);
        };
        let OpenedEndpoint { policy, .. } = self.open_endpoint(&row)?;
        let target = match self.0.upstream.forwarder.api_target(&credential.connector, &credential.values) {
            Ok(target) => target,
            Err(diagnosis) => {
                tracing::warn!(credential = %credential.id, diagnosis.summary, "cannot build an API address");
                return Ok(Found::Unusable);
            }
        };
        let route = Arc::new(Route { resource, owner, kind: row.kind, policy, credential, target });
        self.0.proxying.routes.put((owner, resource), epoch, Arc::clone(&route));
        Ok(Found::Route(route))
    }
}

/// Why an admitted request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The path can't be normalized.
    Path(PathFault),
    /// The policy does not allow it.
    Policy(Breach),
    /// The body is said to be larger than the policy allows.
    TooLarge,
    /// Too many requests within a minute.
    TooMany {
        /// Seconds until the next request may be sent.
        retry_after: u64,
    },
}

impl Service {
    /// Normalizes the path of a request and checks it against the egress policy of its route. `length` is the
    /// length of the body, if it is known.
    pub fn check_request<'a>(
        &self,
        route: &Route,
        method: &str,
        path: &'a str,
        length: Option<u64>,
    ) -> Result<RequestPath<'a>, Refused> {
        let path = RequestPath::settle(path).map_err(Refused::Path)?;
        route.policy.check(method, &path).map_err(Refused::Policy)?;
        if length.is_some_and(|length| length > route.policy.body_max) {
            return Err(Refused::TooLarge);
        }
        if let Some(most) = route.policy.per_minute {
            self.0.proxying.rates.count(route.resource, most).map_err(|retry_after| Refused::TooMany { retry_after })?;
        }
        Ok(path)
    }
}
