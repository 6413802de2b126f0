//! Counts uses, and reads the history of a credential or resource.

use std::{collections::BTreeMap, time::Duration};

use super::pending::Pending;
use crate::{
    domain::{
        access::permission::Access,
        credentials::{CredentialId, verification::Verification},
        resources::{ResourceId, ResourceKind},
        time::Timestamp,
        tokens::{failure::FailureClass, state::FetchReason},
        usage::{Asker, HOUR, HourCounts, TokenSource, Use, UseAction, UseKey, UseOutcome, UseRecord},
        users::UserId,
    },
    service::{
        Service, ServiceError,
        access::{
            authorize::may_change,
            caller::{Caller, Who},
        },
    },
    store::{HistoryOf, HistoryQuery, NewHour},
};

/// How often counts are written to the database.
pub const WRITTEN_EVERY: Duration = Duration::from_secs(2);
/// How long individual uses are kept.
pub const USES_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long hourly counts are kept.
pub const HOURS_KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);
/// The size of a page of uses; the last minute on a page is always complete.
const PAGE: usize = 100;

/// What an instance has counted.
pub(in crate::service) struct Histories(Pending);

impl Histories {
    pub(in crate::service) fn new() -> Self {
        Self(Pending::new())
    }
}

/// A page of the history of a credential or resource.
#[derive(Debug, Clone)]
pub struct History {
    pub name: String,
    /// The requested hours, oldest first; only those in which something happened.
    pub hours: Vec<(Timestamp, HourCounts)>,
    /// Single uses, newest first.
    pub uses: Vec<UseRecord>,
    /// Where the next page begins.
    pub next: Option<Timestamp>,
    /// Whose names the caller may read: everyone's if they manage the credential, otherwise only their own.
    pub shown: ShownAccounts,
}

/// Whose names a caller may read in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownAccounts {
    All,
    /// Only this user's; the others are shown as somebody else.
    Only(Option<UserId>),
}

impl ShownAccounts {
    /// True if the name of this user may be read.
    pub fn shows(self, account: UserId) -> bool {
        match self {
            Self::All => true,
            Self::Only(own) => own == Some(account),
        }
    }
}

/// Which part of a history to return.
#[derive(Debug, Clone, Copy)]
pub struct HistoryWanted {
    /// The first hour to count.
    pub from: Timestamp,
    /// Uses of minutes that began before this; `None` for the newest.
    pub before: Option<Timestamp>,
    /// Only uses that failed or were refused.
    pub only_problems: bool,
}

impl Service {
    /// Counts a use. Never waits.
    pub(in crate::service) fn count_use(&self, one: &Use) {
        self.0.histories.0.count(one);
    }

    /// Counts a successful or failed fetch of a token.
    pub(in crate::service) fn count_fetch(
        &self,
        credential: CredentialId,
        reason: FetchReason,
        took: Duration,
        outcome: UseOutcome,
    ) {
        let (asker, action, token) = (Asker::Keytile, UseAction::Fetch, TokenSource::Fetched(reason));
        self.count_use(&Use { at: self.now(), credential, resource: None, asker, action, token, outcome, took });
    }

    /// Counts the verification of a stored credential.
    pub(in crate::service) fn count_verification(&self, caller: &Caller, credential: CredentialId, verification: &Verification) {
        let outcome =
            verification.failure.as_ref().map_or(UseOutcome::Issued, |failure| UseOutcome::Failed(FailureClass::of(failure)));
        let (action, token) = (UseAction::Verification, TokenSource::Fetched(FetchReason::Tested));
        let (asker, took) = (asker_of(caller), verification.duration());
        self.count_use(&Use { at: self.now(), credential, resource: None, asker, action, token, outcome, took });
    }

    /// Writes the counts. What can't be written is kept for the next time.
    pub async fn write_history(&self) -> Result<(), ServiceError> {
        let pending = &self.0.histories.0;
        let uses = pending.take();
        if !uses.is_empty() {
            let hours = hours_of(&uses);
            if let Err(error) = self.0.store.add_history(&uses, &hours).await {
                for (key, tally) in uses {
                    pending.add(key, &tally);
                }
                return Err(error.into());
            }
        }
        match pending.take_left_out() {
            0 => {}
            left_out => {
                tracing::warn!(left_out, "too many different uses of credentials to count; some are missing from the history")
            }
        }
        Ok(())
    }

    /// Deletes expired history.
    pub(in crate::service) async fn delete_old_history(&self) -> Result<(), ServiceError> {
        let now = self.now();
        Ok(self.0.store.delete_history(now.minus(USES_KEPT), now.minus(HOURS_KEPT)).await?)
    }

    /// The history of a credential, if the caller may use it.
    pub async fn credential_history(
        &self,
        caller: &Caller,
        id: CredentialId,
        wanted: &HistoryWanted,
    ) -> Result<Option<History>, ServiceError> {
        let Some((row, access)) = self.usable(caller, id).await? else { return Ok(None) };
        let shown = shown_to(caller, access == Access::Manage);
        Ok(Some(self.read_history(row.summary.name, HistoryOf::Credential(id), wanted, shown).await?))
    }

    /// The history of a resource, if the caller may use its credential.
    pub async fn resource_history(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: ResourceId,
        wanted: &HistoryWanted,
    ) -> Result<Option<History>, ServiceError> {
        let Some(row) = self.seen_resource(caller, kind, id).await? else { return Ok(None) };
        let shown = shown_to(caller, may_change(caller, &row));
        Ok(Some(self.read_history(row.name, HistoryOf::Resource(id), wanted, shown).await?))
    }

    async fn read_history(
        &self,
        name: String,
        of: HistoryOf,
        wanted: &HistoryWanted,
        shown: ShownAccounts,
    ) -> Result<History, ServiceError> {
        let hours = self.0.store.history_hours(of, wanted.from).await?;
        let before = wanted.before.unwrap_or(Timestamp::from_millis(i64::MAX));
        let query = HistoryQuery { of, before, only_problems: wanted.only_problems, limit: PAGE as i64 + 1 };
        let mut uses = self.0.store.history(&query).await?;
        let next = cut_at_minute(&mut uses, PAGE);
        Ok(History { name, hours, uses, next, shown })
    }
}

/// The caller as the history names it.
pub(in crate::service) fn asker_of(caller: &Caller) -> Asker {
    match &caller.who {
        Who::Key(key) => Asker::Key(key.id),
        Who::Person(person) => Asker::Person(person.id),
        Who::Server(_) | Who::Nobody(_) => Asker::Keytile,
    }
}

fn shown_to(caller: &Caller, manages: bool) -> ShownAccounts {
    if manages { ShownAccounts::All } else { ShownAccounts::Only(caller.user()) }
}

/// The hourly counts of uses, sorted by key.
fn hours_of(uses: &[(UseKey, crate::domain::usage::Tally)]) -> Vec<NewHour> {
    let mut hours: BTreeMap<(CredentialId, i64, Option<ResourceId>), HourCounts> = BTreeMap::new();
    for (key, tally) in uses {
        let hour = key.minute.div_euclid(HOUR) * HOUR;
        hours.entry((key.credential, hour, key.resource)).or_default().count(key, tally);
    }
    hours.into_iter().map(|((credential, hour, resource), counts)| NewHour { credential, hour, resource, counts }).collect()
}

/// Cuts a page so that no minute is on two of them. Answers where the next one begins.
fn cut_at_minute(uses: &mut Vec<UseRecord>, page: usize) -> Option<Timestamp> {
    let beyond = uses.get(page)?.minute;
    let whole = uses.partition_point(|row| row.minute > beyond);
    // A minute that fills more than a page is cut, because nobody reads on there.
    uses.truncate(if whole == 0 { page } else { whole });
    uses.last().map(|row| row.minute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::usage::Success;

    fn row(minute: i64) -> UseRecord {
        UseRecord {
            minute: Timestamp::from_millis(minute),
            resource: None,
            resource_name: None,
            asker: Asker::Keytile,
            key_name: None,
            account: None,
            action: UseAction::Fetch,
            token: TokenSource::None,
            outcome: "issued".into(),
            success: Success::Done,
            uses: 1,
            micros: 1,
            longest: 1,
            last_at: Timestamp::from_millis(minute),
        }
    }

    #[test]
    fn a_page_ends_with_a_whole_minute() {
        let cut = |minutes: &[i64], page| {
            let mut rows: Vec<UseRecord> = minutes.iter().map(|minute| row(*minute)).collect();
            let next = cut_at_minute(&mut rows, page).map(Timestamp::as_millis);
            (rows.len(), next)
        };
        assert_eq!(cut(&[], 3), (0, None));
        assert_eq!(cut(&[9, 8, 7], 3), (3, None));
        assert_eq!(cut(&[9, 8, 7, 6], 3), (3, Some(7)));
        assert_eq!(cut(&[9, 8, 7, 7], 3), (2, Some(8)));
        assert_eq!(cut(&[9, 9, 9, 9], 3), (3, Some(9)), "too many of one minute");
    }
}
