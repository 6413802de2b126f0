//! Idempotency keys: API requests that take effect once, however often they are sent (`Idempotency-Key`).
//!
//! Such a request gets an id derived from the API key and the idempotency key, so that repeating it gives the same
//! id. The mechanism that detects a form that is submitted twice then also detects a repeated request.

use std::time::Duration;

use uuid::{Builder, Uuid, Variant, Version};

use crate::{
    crypto::envelope::Place,
    domain::{connectors::ConnectorId, credentials::CredentialId, resources::ResourceId, users::UserId},
    service::{Service, ServiceError, access::caller::Caller},
    store::{DraftRow, DraftState, NewDraft},
};

/// How long a request that created a credential is remembered.
const LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// In the second half of an id, which otherwise identifies the request's content, this value stands for any
/// content.
const HALF: u64 = u64::MAX;

/// A request with an idempotency key.
#[derive(Debug, Clone)]
pub struct Once {
    /// Derived from caller, route and idempotency key.
    pub(in crate::service) id: Uuid,
    /// Derived from the same and from the request's content.
    pub(in crate::service) whole: Uuid,
    /// Stored as the connector of the draft; derived from the request's content.
    slot: ConnectorId,
}

/// What is known about a request.
pub(in crate::service) enum Seen<T> {
    /// It hasn't been seen.
    Not,
    /// It has created this.
    Done(T),
    /// Another request has used its idempotency key.
    Other,
}

impl Service {
    /// A caller's request to a route, with an idempotency key. `body` is its whole content.
    pub fn once(&self, caller: &Caller, route: &str, key: &str, body: &[u8]) -> Option<Once> {
        let who = caller.key_id()?;
        let named = self.0.fingerprint.of(&[b"idempotency key", who.as_bytes(), route.as_bytes(), key.as_bytes()]);
        // Keyed like all fingerprints, because a body contains secrets, and nothing about them must be guessable.
        let asked = self.0.fingerprint.of(&[b"idempotent request", &named, body]);
        let digest: String = asked.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let (named, asked) = (half(&named), half(&asked));
        Some(Once { id: made_of(named, HALF), whole: made_of(named, asked), slot: ConnectorId::new(&format!("once-{digest}"))? })
    }

    /// What is known about a request that creates a credential.
    pub(in crate::service) async fn credential_of(&self, owner: UserId, once: &Once) -> Result<Seen<CredentialId>, ServiceError> {
        Ok(match self.0.store.draft(once.id, owner, self.now()).await? {
            None => Seen::Not,
            Some(DraftRow { connector, .. }) if connector != once.slot => Seen::Other,
            Some(DraftRow { state: DraftState::SavedAs(credential), .. }) => Seen::Done(credential),
            Some(DraftRow { state: DraftState::Open(_), .. }) => Seen::Not,
        })
    }

    /// The credential that the same request has created in the meantime.
    pub(in crate::service) async fn done_meanwhile(
        &self,
        owner: UserId,
        once: Option<&Once>,
    ) -> Result<Option<CredentialId>, ServiceError> {
        let Some(once) = once else { return Ok(None) };
        Ok(match self.credential_of(owner, once).await? {
            Seen::Done(credential) => Some(credential),
            Seen::Not | Seen::Other => None,
        })
    }

    /// Reserves the id of a request that creates a credential, with an empty draft. False if its idempotency key
    /// has been used.
    pub(in crate::service) async fn begin_once(&self, owner: UserId, once: &Once) -> Result<bool, ServiceError> {
        let now = self.now();
        let draft = NewDraft {
            id: once.id,
            owner,
            connector: once.slot.clone(),
            sealed: self.0.keyring.seal_packed(&Place::draft(once.id, 1, &owner, &once.slot), b""),
            version: 1,
            updated_at: now,
            expires_at: now.plus(LIFETIME),
        };
        Ok(self.0.store.put_draft(&draft).await?)
    }

    /// What is known about a request that creates a resource. It is remembered as long as the resource exists.
    pub(in crate::service) async fn resource_of(&self, once: &Once) -> Result<Seen<ResourceId>, ServiceError> {
        let first = made_of(once.id.as_u64_pair().0, 0);
        let made = self.0.store.resource_of_forms(first..=once.id).await?;
        Ok(match made {
            None => Seen::Not,
            Some((form, resource)) if form == once.whole => Seen::Done(resource),
            Some(_) => Seen::Other,
        })
    }
}

fn half(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// An id from these halves, in a format that forms don't use (UUID version 8).
fn made_of(first: u64, second: u64) -> Uuid {
    Builder::from_u128(u128::from(first) << 64 | u128::from(second))
        .with_version(Version::Custom)
        .with_variant(Variant::RFC4122)
        .into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_key_lie_together_and_apart_from_those_of_pages() {
        let (first, last) = (made_of(0xABCD_EF01_2345_6789, 0), made_of(0xABCD_EF01_2345_6789, HALF));
        for second in [1, 7 << 40, HALF - 1] {
            let id = made_of(0xABCD_EF01_2345_6789, second);
            assert!(first <= id && id <= last, "{id}");
            assert_eq!((id.get_version_num(), id.get_variant()), (8, Variant::RFC4122));
        }
        let other = made_of(0xABCD_EF01_2345_6788, 5);
        // The version replaces four bits of the first half.
        assert!(other < first || other > last);
        assert_eq!(made_of(last.as_u64_pair().0, 0), first);
    }
}
