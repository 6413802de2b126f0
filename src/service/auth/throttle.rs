//! Limits how often a password or code may be tried, for each account and each address.
//!
//! Every attempt is counted before it is made, in all of its buckets, and given back if it was correct. While one
//! bucket is blocked, nothing is tried and nothing is counted, so that a block ends at the announced time.

use std::{net::IpAddr, time::Duration};

use uuid::Uuid;

use super::devices::Device;
use crate::{
    domain::{
        audit::{
            Audit, AuditTarget,
            event::{AuditAction, AuditOutcome, TargetKind},
        },
        time::Timestamp,
        users::UserId,
    },
    service::{Service, ServiceError, access::caller::Caller, audit::record::target},
    store::{CountedAttempt, Reservation, SignInBucket},
};

/// Failures of one account, or of one known browser of an account, before a wait.
const ACCOUNT_FREE: i64 = 5;
/// Failures of one address before a wait. Many people may share an address.
const ADDRESS_FREE: i64 = 20;

/// A bucket that failures are counted in.
#[derive(Clone, Copy)]
pub(in crate::service) enum Counted<'a> {
    /// Passwords of an account, by the key of the email address, whether or not the account exists.
    Account(&'a str),
    /// Passwords from an address. IPv6 counts by /64, which is what one subscriber has.
    Address(IpAddr),
    /// Passwords of an account from a browser that has signed in to it before.
    Device(UserId, Device),
    /// Codes of the second factor, from a known browser or from any other.
    Code(UserId, Option<Device>),
    /// The current password of a signed-in user, by session: someone with a stolen session can't keep the owner
    /// from changing the password in another.
    OwnPassword(Uuid),
}

impl Counted<'_> {
    const fn free(&self) -> i64 {
        match self {
            Self::Address(_) => ADDRESS_FREE,
            Self::Account(_) | Self::Device(..) | Self::Code(..) | Self::OwnPassword(_) => ACCOUNT_FREE,
        }
    }

    /// Signing in clears an account's failures, but not an address's: otherwise anyone with an account could clear
    /// them and go on with the accounts of others.
    const fn cleared_by_success(&self) -> bool {
        !matches!(self, Self::Address(_))
    }

    const fn words(&self) -> &'static str {
        match self {
            Self::Account(_) => "passwords of this account",
            Self::Address(_) => "passwords from this address",
            Self::Device(..) => "passwords of this account from a known browser",
            Self::Code(..) => "codes of this account",
            Self::OwnPassword(_) => "current password, asked for again",
        }
    }
}

/// An attempt that has been counted. It must end with [`Service::succeeded`], [`Service::failed`] or
/// [`Service::not_made`].
pub(in crate::service) struct Attempt<'a>(Vec<(Counted<'a>, CountedAttempt)>);

/// The account that the attempt was for, for the audit trail.
pub(in crate::service) struct Tried {
    pub(in crate::service) action: AuditAction,
    pub(in crate::service) target: Option<AuditTarget>,
    /// Keytile's own text.
    pub(in crate::service) detail: &'static str,
}

impl Service {
    /// How long one of these buckets is still blocked. Only reads.
    pub(in crate::service) async fn wait(&self, counted: &[Counted<'_>]) -> Result<Option<Duration>, ServiceError> {
        let now = self.now();
        let buckets = self.buckets(counted);
        let until = self.0.store.sign_in_blocked(&buckets, now).await?;
        Ok(until.map(|until| whole_seconds(until, now)))
    }

    /// Counts an attempt before it is made. The inner error is how long to wait.
    pub(in crate::service) async fn attempt<'a>(
        &self,
        counted: &[Counted<'a>],
    ) -> Result<Result<Attempt<'a>, Duration>, ServiceError> {
        let now = self.now();
        let buckets = self.buckets(counted);
        Ok(match self.0.store.count_attempt(&buckets, now).await? {
            Reservation::Counted(attempts) => Ok(Attempt(counted.iter().copied().zip(attempts).collect())),
            Reservation::Blocked(until) => Err(whole_seconds(until, now)),
        })
    }

    /// Ends an attempt that was correct.
    pub(in crate::service) async fn succeeded(&self, attempt: Attempt<'_>) -> Result<(), ServiceError> {
        let (cleared, given_back): (Vec<_>, Vec<_>) = attempt.0.into_iter().partition(|(counted, _)| counted.cleared_by_success());
        let of = |list: Vec<(_, CountedAttempt)>| list.into_iter().map(|(_, attempt)| attempt).collect::<Vec<_>>();
        Ok(self.0.store.uncount_attempt(&of(cleared), &of(given_back)).await?)
    }

    /// Ends an attempt that wasn't made after all.
    pub(in crate::service) async fn not_made(&self, attempt: Attempt<'_>) -> Result<(), ServiceError> {
        let given_back: Vec<_> = attempt.0.into_iter().map(|(_, attempt)| attempt).collect();
        Ok(self.0.store.uncount_attempt(&[], &given_back).await?)
    }

    /// Ends an attempt that failed: records it, and each block that it caused.
    pub(in crate::service) async fn failed(&self, attempt: Attempt<'_>, caller: &Caller, tried: Tried) -> Result<(), ServiceError> {
        let now = self.now();
        let mut audits: Vec<Audit<'_>> =
            vec![self.audit(caller, tried.action, tried.target.clone(), AuditOutcome::Failed, tried.detail)];
        for (counted, attempt) in &attempt.0 {
            if let Some(wait) = attempt.after.wait(now) {
                let detail = format!("{}: {} failures, {} s", counted.words(), attempt.after.count, wait.as_secs());
                let target = tried.target.clone().filter(|_| counted.cleared_by_success());
                audits.push(self.audit(caller, AuditAction::SignInLimited, target, AuditOutcome::Refused, detail));
            }
        }
        tracing::warn!(address = caller.origin.address, action = tried.action.as_str(), "a sign-in or confirmation failed");
        Ok(self.0.store.record_failed_attempt(&audits).await?)
    }

    fn buckets(&self, counted: &[Counted<'_>]) -> Vec<SignInBucket> {
        counted.iter().map(|counted| SignInBucket { hash: self.bucket(counted), free: counted.free() }).collect()
    }

    fn bucket(&self, counted: &Counted<'_>) -> [u8; 32] {
        let of = |kind: &[u8], value: &[u8], device: &[u8]| self.0.fingerprint.of(&[b"sign-in limit", kind, value, device]);
        match counted {
            Counted::Account(email_key) => of(b"account", email_key.as_bytes(), b""),
            Counted::Address(address) => of(b"address", &network_of(*address), b""),
            Counted::Device(user, device) => of(b"device", user.as_bytes(), device.id()),
            Counted::Code(user, None) => of(b"code", user.as_bytes(), b""),
            Counted::Code(user, Some(device)) => of(b"code", user.as_bytes(), device.id()),
            Counted::OwnPassword(session) => of(b"own password", session.as_bytes(), b""),
        }
    }
}

/// A user as the target of an attempt.
pub(in crate::service) fn account(id: UserId, email: &str) -> Option<AuditTarget> {
    target(TargetKind::User, id, email)
}

/// The bucket of the caller's address, if the address is known.
pub(in crate::service) fn address_of(caller: &Caller) -> Option<Counted<'static>> {
    caller.origin.address.parse().ok().map(Counted::Address)
}

/// The bytes that an address is counted by.
fn network_of(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

/// The remaining time, rounded up to whole seconds.
fn whole_seconds(until: Timestamp, now: Timestamp) -> Duration {
    let left = until.since(now);
    Duration::from_secs(left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_of_ipv6_is_one_address_and_a_mapped_address_is_what_it_maps() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[test]
    fn what_is_left_is_told_in_whole_seconds() {
        let now = Timestamp::from_millis(5_000);
        for (until, seconds) in [(5_001, 1), (6_000, 1), (6_001, 2), (305_000, 300), (5_000, 1)] {
            assert_eq!(whole_seconds(Timestamp::from_millis(until), now).as_secs(), seconds, "{until}");
        }
    }
}
