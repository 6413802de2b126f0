//! Checks API keys: which caller a presented key stands for.
//!
//! Every API request starts here, so a key that was seen before costs one hash and two lookups in memory. Nothing
//! is cached longer than the access epoch in which it was read (see `access::epoch_cache`), so that a revoked key
//! is refused within a second on every instance.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{
    crypto::hash,
    domain::{
        api_keys::ApiKeyText,
        audit::{
            AuditTarget,
            event::{AuditAction, AuditOutcome, TargetKind},
        },
        time::Timestamp,
        users::UserState,
    },
    service::{
        Service, ServiceError,
        access::{
            caller::{Caller, KeyIdentity, Origin, Person},
            epoch_cache::Remembered,
        },
        audit::record::target,
    },
    store::ApiKeyOwner,
};

/// The precision of the last use of a key, in milliseconds, and the shortest time between two writes of it.
const USE_STEP: i64 = 60_000;
/// The shortest time between two records of the same refusal.
const RECORD_STEP: Duration = Duration::from_secs(60);
/// The most refusals recorded within [`RECORD_STEP`], so that nobody can flood the audit trail from many addresses.
const RECORDED_MAX: usize = 1_000;

/// The result of checking a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCheck {
    /// The key may be used. Contains the caller.
    Accepted(Caller),
    /// The key may not be used. The client isn't told why; the reason is for the log and the audit trail.
    Rejected(KeyRejection),
}

/// Why a key was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyRejection {
    /// It doesn't have the format of a key.
    Malformed,
    Unknown,
    Revoked,
    Expired,
    /// The user that it acts as is disabled.
    OwnerDisabled,
}

impl KeyRejection {
    /// The reason in words, for the log and the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::OwnerDisabled => "owner disabled",
        }
    }
}

/// What an instance caches about keys.
pub(in crate::service) struct CheckedKeys {
    /// By the hash of the key.
    known: Remembered<[u8; 32], Arc<KnownKey>>,
    /// Hashes of well-formed keys that don't exist. Kept apart, so that guessing doesn't evict known keys.
    unknown: Remembered<[u8; 32], ()>,
    /// When a refusal was last recorded, by its reason and the client's network.
    recorded: Mutex<HashMap<(KeyRejection, String), Timestamp>>,
}

pub(in crate::service) struct KnownKey {
    pub(in crate::service) identity: Arc<KeyIdentity>,
    expires_at: Option<Timestamp>,
    revoked: bool,
    owner_disabled: bool,
    /// The start of the minute of the last recorded use, in milliseconds since the Unix epoch.
    used_at: AtomicI64,
}

impl KnownKey {
    pub(in crate::service) fn rejection(&self, now: Timestamp) -> Option<KeyRejection> {
        if self.revoked {
            Some(KeyRejection::Revoked)
        } else if self.owner_disabled {
            Some(KeyRejection::OwnerDisabled)
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Some(KeyRejection::Expired)
        } else {
            None
        }
    }

    /// True for the first use within a minute.
    fn is_first_use(&self, minute: i64) -> bool {
        let last = self.used_at.load(Ordering::Relaxed);
        // If several threads get here at the same time, one of them wins.
        last < minute && self.used_at.compare_exchange(last, minute, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl CheckedKeys {
    pub(in crate::service) fn new() -> Self {
        Self { known: Remembered::new(), unknown: Remembered::new(), recorded: Mutex::new(HashMap::new()) }
    }

    /// The number of cached keys, including keys that don't exist.
    pub(in crate::service) fn count(&self) -> u64 {
        self.known.count() + self.unknown.count()
    }

    /// True if a refusal is to be recorded: the first with its reason and network within [`RECORD_STEP`].
    fn is_first_refusal(&self, place: &(KeyRejection, String), now: Timestamp) -> bool {
        let recent = |at: Timestamp| now.since(at) < RECORD_STEP;
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.get(place).is_some_and(|at| recent(*at)) {
            return false;
        }
        if recorded.len() >= RECORDED_MAX {
            recorded.retain(|_, at| recent(*at));
        }
        if recorded.len() >= RECORDED_MAX {
            return false;
        }
        recorded.insert(place.clone(), now);
        true
    }

    fn forget_refusal(&self, place: &(KeyRejection, String)) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }
}

impl Service {
    /// Returns the caller that presents this key, if the key may be used now. Malformed keys are refused without a
    /// database query.
    pub async fn authenticate_key(&self, presented: &str, origin: Origin) -> Result<KeyCheck, ServiceError> {
        let known = self.identify_key(presented, self.now(), || origin.clone()).await?;
        Ok(known.map_or_else(KeyCheck::Rejected, |key| KeyCheck::Accepted(Caller::key(Arc::clone(&key.identity), origin))))
    }

    /// The same for callers that need only the key's identity. `origin` is called only if the key is refused.
    pub(in crate::service) async fn identify_key(
        &self,
        presented: &str,
        now: Timestamp,
        origin: impl FnOnce() -> Origin,
    ) -> Result<Result<Arc<KnownKey>, KeyRejection>, ServiceError> {
        let hash = match ApiKeyText::parse(presented) {
            Some(text) => hash::api_key_hash(&text),
            // Boxed to keep the hot future small.
            None => return Box::pin(self.reject(Caller::nobody("", origin()), None, KeyRejection::Malformed)).await,
        };
        let epoch = self.0.epoch.current(&self.0.store).await?;
        let key = match self.0.metrics.keys.counted(self.0.keys.known.get(&hash, epoch)) {
            Some(key) => key,
            None => match Box::pin(self.read_key(hash, epoch)).await? {
                Some(key) => key,
                None => return Box::pin(self.reject(Caller::nobody("", origin()), None, KeyRejection::Unknown)).await,
            },
        };
        if let Some(reason) = key.rejection(now) {
            let identity = &key.identity;
            let about = target(TargetKind::ApiKey, identity.id, &identity.name);
            return Box::pin(self.reject(Caller::key(Arc::clone(identity), origin()), about, reason)).await;
        }
        self.note_use(&key, now);
        Ok(Ok(key))
    }

    /// Reads a key that isn't cached, and caches the result under `epoch`, which must have been read before.
    async fn read_key(&self, hash: [u8; 32], epoch: i64) -> Result<Option<Arc<KnownKey>>, ServiceError> {
        let keys = &self.0.keys;
        let _turn = keys.known.turn(&hash).await;
        if let Some(key) = keys.known.get(&hash, epoch) {
            return Ok(Some(key));
        }
        if keys.unknown.get(&hash, epoch).is_some() {
            return Ok(None);
        }
        let Some(row) = self.0.store.api_key_by_hash(&hash).await? else {
            keys.unknown.put(hash, epoch, ());
            return Ok(None);
        };
        let resources = match row.restricted {
            true => Some(self.0.store.resources_of_api_key(row.id).await?.into_iter().map(|resource| resource.id).collect()),
            false => None,
        };
        let identity = KeyIdentity { id: row.id, name: row.name, owner: row.owner.into(), scopes: row.scopes, resources };
        let key = Arc::new(KnownKey {
            identity: Arc::new(identity),
            expires_at: row.expires_at,
            revoked: row.revoked_at.is_some(),
            owner_disabled: row.owner_state == UserState::Disabled,
            used_at: AtomicI64::new(row.last_used_at.map_or(i64::MIN, Timestamp::as_millis)),
        });
        keys.known.put(hash, epoch, Arc::clone(&key));
        Ok(Some(key))
    }

    /// Records in the background that a key was used, so that the request doesn't wait.
    pub(in crate::service) fn note_use(&self, key: &KnownKey, now: Timestamp) {
        let minute = now.as_millis() - now.as_millis().rem_euclid(USE_STEP);
        if !key.is_first_use(minute) {
            return;
        }
        let (service, id) = (self.clone(), key.identity.id);
        self.0.tasks.spawn(async move {
            if let Err(error) = service.0.store.touch_api_key(id, Timestamp::from_millis(minute)).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "could not record the last use of an API key");
            }
        });
    }

    /// Refuses a key, and records that unless it was recorded a moment ago.
    async fn reject<T>(
        &self,
        caller: Caller,
        target: Option<AuditTarget>,
        reason: KeyRejection,
    ) -> Result<Result<T, KeyRejection>, ServiceError> {
        let place = (reason, network(&caller.origin.address));
        if self.0.keys.is_first_refusal(&place, self.now()) {
            tracing::warn!(reason = reason.as_str(), address = caller.origin.address, "an API key was refused");
            let audit = self.audit(&caller, AuditAction::RejectKey, target, AuditOutcome::Refused, reason.as_str());
            if let Err(error) = self.0.store.record(&audit).await {
                // So that the next refusal is recorded.
                self.0.keys.forget_refusal(&place);
                return Err(error.into());
            }
        }
        Ok(Err(reason))
    }
}

impl From<ApiKeyOwner> for Person {
    fn from(owner: ApiKeyOwner) -> Self {
        Self { id: owner.id, email: owner.email, name: owner.name, role: owner.role }
    }
}

/// What refusals are counted by: the IPv4 address, or the /64 network for IPv6, which one machine may have.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_recorded_once_a_minute_for_each_reason_and_network() {
        let keys = CheckedKeys::new();
        let at = |seconds: i64| Timestamp::from_millis(1_000_000 + seconds * 1_000);
        let first = |reason, address: &str, seconds| keys.is_first_refusal(&(reason, network(address)), at(seconds));
        assert!(first(KeyRejection::Unknown, "192.0.2.1", 0));
        assert!(!first(KeyRejection::Unknown, "192.0.2.1", 59));
        assert!(!first(KeyRejection::Unknown, "::ffff:192.0.2.1", 59));
        assert!(first(KeyRejection::Malformed, "192.0.2.1", 59));
        assert!(first(KeyRejection::Unknown, "192.0.2.2", 59));
        assert!(first(KeyRejection::Unknown, "192.0.2.1", 60));
        assert!(first(KeyRejection::Unknown, "2001:db8:1:2::1", 60));
        assert!(!first(KeyRejection::Unknown, "2001:db8:1:2:ffff::2", 60));
        assert!(first(KeyRejection::Unknown, "2001:db8:1:3::1", 60));
        keys.forget_refusal(&(KeyRejection::Unknown, network("192.0.2.1")));
        assert!(first(KeyRejection::Unknown, "192.0.2.1", 61));
    }

    #[test]
    fn refusals_from_many_networks_are_bounded() {
        let keys = CheckedKeys::new();
        let recorded = |seconds: i64| {
            let at = Timestamp::from_millis(seconds * 1_000);
            let places = (0..2_000).map(|number| (KeyRejection::Unknown, number.to_string()));
            places.filter(|place| keys.is_first_refusal(place, at)).count()
        };
        assert_eq!(recorded(0), RECORDED_MAX);
        assert_eq!(recorded(59), 0);
        assert_eq!(recorded(60), RECORDED_MAX);
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let owner =
            Person { id: uuid::Uuid::nil(), email: String::new(), name: String::new(), role: crate::domain::users::Role::Viewer };
        let scopes = crate::domain::api_keys::Scopes::parse("proxy").unwrap();
        let identity = KeyIdentity { id: uuid::Uuid::nil(), name: String::new(), owner, scopes, resources: None };
        let key = KnownKey {
            identity: Arc::new(identity),
            expires_at: None,
            revoked: false,
            owner_disabled: false,
            used_at: AtomicI64::new(i64::MIN),
        };
        let uses: Vec<bool> = [60_000, 60_000, 120_000, 60_000, 120_000].map(|minute| key.is_first_use(minute)).to_vec();
        assert_eq!(uses, [true, false, true, false, false]);
    }
}
