//! The state of one credential's access token, and what to do when a token is needed: use it, refresh it
//! early, fetch one, or wait.
//!
//! Time is measured by two clocks, the wall clock and a monotonic one (see [`Moment`]). A token is used only
//! while both say that it's valid, and a pause is over as soon as one of them says so: a clock that jumps
//! costs at most one fetch and never blocks anyone.

use std::time::Duration;

use super::failure::FailureClass;
use crate::domain::time::Timestamp;

/// The longest time before its expiry at which a token is refreshed.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// The longest time before its expiry at which a token is no longer used, because a request takes time to
/// arrive.
const SAFETY_MAX: Duration = Duration::from_secs(5);
/// A token that was fetched because the previous one was refused isn't replaced for that reason within this
/// time. Otherwise, a service that refuses every token would be asked for one with every request.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// A point in time by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock: can be set and can jump.
    pub wall: Timestamp,
    /// Monotonic clock: the time since some fixed start.
    pub steady: Duration,
}

impl Moment {
    /// Later by `by` on both clocks.
    pub fn plus(self, by: Duration) -> Self {
        Self { wall: self.wall.plus(by), steady: self.steady.saturating_add(by) }
    }

    /// The time left until this moment: the shorter of the two clocks' answers.
    pub fn left(self, now: Self) -> Duration {
        self.wall.since(now.wall).min(self.steady.saturating_sub(now.steady))
    }

    /// Whether at least one of the clocks has reached it.
    pub fn is_reached(self, now: Self) -> bool {
        self.left(now).is_zero()
    }
}

/// When a token is refreshed, and when it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTimes {
    /// From here on it's refreshed, but still used.
    pub refresh_at: Moment,
    /// From here on it's no longer used: shortly before `end`.
    pub use_until: Moment,
    /// The expiry, as the service stated it.
    pub end: Moment,
    /// The whole lifetime, not what is left of it.
    pub lifetime: Duration,
}

impl TokenTimes {
    /// The times of a token that was issued just now.
    pub fn issued(now: Moment, lifetime: Duration) -> Self {
        Self::of(now.plus(lifetime), lifetime)
    }

    /// The times of a token that another instance fetched, by the wall clock. That instance's clock may
    /// differ, so the token never gets more than its full lifetime.
    pub fn adopted(now: Moment, fetched_at: Timestamp, end: Timestamp) -> Self {
        let lifetime = end.since(fetched_at);
        let left = end.since(now.wall).min(lifetime);
        Self::of(now.plus(left), lifetime)
    }

    fn of(end: Moment, lifetime: Duration) -> Self {
        let before = |by: Duration| Moment { wall: end.wall.minus(by), steady: end.steady.saturating_sub(by) };
        let (margin, safety) = (MARGIN_MAX.min(lifetime / 10), SAFETY_MAX.min(lifetime / 50));
        Self { refresh_at: before(margin), use_until: before(safety), end, lifetime }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FetchReason {
    /// There was none.
    First,
    /// The previous one would have expired soon.
    Early,
    /// The previous one had expired.
    Expired,
    /// The service refused the previous one (401).
    Refused,
    /// The previous one was fetched with other values of the credential.
    Edited,
    /// Someone saved or tested the credential.
    Tested,
}

impl FetchReason {
    pub const ALL: [Self; 6] = [Self::First, Self::Early, Self::Expired, Self::Refused, Self::Edited, Self::Tested];

    /// The value in metrics, traces and the usage history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Early => "early",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Edited => "edited",
            Self::Tested => "tested",
        }
    }
}

/// Numbers the tokens of one credential in the order in which they arrived.
pub type TokenNumber = u64;

/// A failure, and the pause that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    pub class: FailureClass,
    /// Failures in a row.
    pub failures: u32,
    /// The end of the pause.
    pub until: Moment,
}

/// What to do when a token is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Use the current token.
    Use,
    /// Use the current token, and fetch the next one in the background.
    UseAndRefresh,
    Fetch(FetchReason),
    /// Wait for the fetch that is in progress.
    Wait,
    /// There is no token, and the service isn't asked again for this long.
    Refuse(Duration),
}

/// The token of one version of a credential.
#[derive(Debug, Clone, Default)]
pub struct TokenState {
    present: Option<Present>,
    failing: Option<Failing>,
    fetching: bool,
    edited: bool,
    last_number: TokenNumber,
}

#[derive(Debug, Clone, Copy)]
struct Present {
    number: TokenNumber,
    times: TokenTimes,
    /// Until then it isn't replaced, even if the service refuses it.
    kept_until: Option<Moment>,
}

impl TokenState {
    /// A credential without a token. `edited` says that it had other values before.
    pub fn new(edited: bool) -> Self {
        Self { edited, ..Self::default() }
    }

    /// Decides for a request that needs a token valid for `min_validity`. At most half of a token's lifetime
    /// is required, because a service may issue only shorter ones. `refused` is the token that the service
    /// has just refused.
    pub fn decide(&self, now: Moment, min_validity: Duration, refused: Option<TokenNumber>) -> Decision {
        let blocked = self.failing.filter(|failing| !failing.until.is_reached(now));
        let Some(present) = self.present else {
            return self.without(now, blocked, if self.edited { FetchReason::Edited } else { FetchReason::First });
        };
        if present.times.use_until.is_reached(now) {
            return self.without(now, blocked, FetchReason::Expired);
        }
        if refused == Some(present.number) && present.kept_until.is_none_or(|until| until.is_reached(now)) {
            return self.without(now, blocked, FetchReason::Refused);
        }
        let enough = present.times.end.left(now) >= min_validity.min(present.times.lifetime / 2);
        if blocked.is_some() {
            Decision::Use
        } else if self.fetching {
            if enough { Decision::Use } else { Decision::Wait }
        } else if !enough {
            Decision::Fetch(FetchReason::Early)
        } else if present.times.refresh_at.is_reached(now) {
            Decision::UseAndRefresh
        } else {
            Decision::Use
        }
    }

    fn without(&self, now: Moment, blocked: Option<Failing>, reason: FetchReason) -> Decision {
        match blocked {
            _ if self.fetching => Decision::Wait,
            Some(failing) => Decision::Refuse(failing.until.left(now)),
            None => Decision::Fetch(reason),
        }
    }

    pub const fn begin(&mut self) {
        self.fetching = true;
    }

    /// The fetch has ended, successfully or not.
    pub const fn end(&mut self) {
        self.fetching = false;
    }

    /// Replaces the current token and clears the failure.
    pub fn put(&mut self, now: Moment, times: TokenTimes, reason: Option<FetchReason>) -> TokenNumber {
        self.last_number += 1;
        let kept_until = (reason == Some(FetchReason::Refused)).then(|| now.plus(REFUSED_PAUSE));
        self.present = Some(Present { number: self.last_number, times, kept_until });
        self.failing = None;
        self.last_number
    }

    /// Records a failure here or on another instance; `None` clears it. The current token stays.
    pub const fn set_failing(&mut self, failing: Option<Failing>) {
        self.failing = failing;
    }

    pub const fn failing(&self) -> Option<Failing> {
        self.failing
    }

    pub fn number(&self) -> Option<TokenNumber> {
        self.present.map(|present| present.number)
    }

    /// The expiry of the current token, if it can still be used.
    pub fn end_of_usable(&self, now: Moment) -> Option<Moment> {
        self.present.filter(|present| !present.times.use_until.is_reached(now)).map(|present| present.times.end)
    }
}

#[cfg(test)]
mod tests;
