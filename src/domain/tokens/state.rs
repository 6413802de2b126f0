//! What is known of the access token of one credential, and what to do when somebody asks for it: use it, replace it
//! early, fetch one, or leave the service alone.
//!
//! Time is told by two clocks, one that people set and one that only goes on (see [`Moment`]). A token is used only
//! while both say that it is alive, and a pause is over as soon as one says so: a clock that jumps costs a fetch at
//! most, and keeps nobody waiting.

use std::time::Duration;

use super::failure::FailureClass;
use crate::domain::time::Timestamp;

/// The longest time by which a token is replaced before it ends.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// The longest time before its end at which a token is no longer used: a request takes time to arrive.
const SAFETY_MAX: Duration = Duration::from_secs(5);
/// A token that was fetched because the one before was refused is not replaced for that reason within this time. A
/// service that refuses every token would otherwise be asked for one with each request.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// A point in time by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the clock that people set.
    pub wall: Timestamp,
    /// By the clock that only goes on, from some beginning.
    pub steady: Duration,
}

impl Moment {
    /// The moment that lies so much later by both clocks.
    pub fn plus(self, by: Duration) -> Self {
        Self { wall: self.wall.plus(by), steady: self.steady.saturating_add(by) }
    }

    /// How long it is until then: the shorter of what the clocks say.
    pub fn left(self, now: Self) -> Duration {
        self.wall.since(now.wall).min(self.steady.saturating_sub(now.steady))
    }

    /// Whether one of the clocks has come so far.
    pub fn is_reached(self, now: Self) -> bool {
        self.left(now).is_zero()
    }
}

/// When a token is replaced, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTimes {
    /// From when on it is replaced, while it is still used.
    pub refresh_at: Moment,
    /// From when on it is not used any more: shortly before its end.
    pub use_until: Moment,
    /// Its end, as the service named it.
    pub end: Moment,
    /// How long it lives in all.
    pub lifetime: Duration,
}

impl TokenTimes {
    /// The times of a token that was issued just now.
    pub fn issued(now: Moment, lifetime: Duration) -> Self {
        Self::of(now.plus(lifetime), lifetime)
    }

    /// The times of a token that somebody else fetched, by the clock that people set. Whoever fetched it may have
    /// another one, so it lives no longer than it did then.
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

/// Why a token was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FetchReason {
    /// There was none.
    First,
    /// The one before would have ended soon.
    Early,
    /// The one before had ended.
    Expired,
    /// The service had refused the one before (401).
    Refused,
    /// The one before was of other values of the credential.
    Edited,
    /// Somebody saved or tested the credential.
    Tested,
}

impl FetchReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [Self::First, Self::Early, Self::Expired, Self::Refused, Self::Edited, Self::Tested];

    /// The word that programs read.
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

/// Numbers the tokens of one credential in the order in which they came.
pub type TokenNumber = u64;

/// A failure, and until when there is no other try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// What kind.
    pub class: FailureClass,
    /// How many there were in a row.
    pub failures: u32,
    /// Until when the service is left alone.
    pub until: Moment,
}

/// What to do for somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Use the present token.
    Use,
    /// Use it, and fetch the next one meanwhile.
    UseAndRefresh,
    /// Fetch one.
    Fetch(FetchReason),
    /// Wait for the fetch that is under way.
    Wait,
    /// There is none, and the service is left alone for so long.
    Refuse(Duration),
}

/// What is known of the token of one version of a credential.
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
    /// Until when it is not replaced because it was refused.
    kept_until: Option<Moment>,
}

impl TokenState {
    /// Of a credential of which nothing is known. `edited` says that its values were others before.
    pub fn new(edited: bool) -> Self {
        Self { edited, ..Self::default() }
    }

    /// What to do for somebody who needs a token that is good for `min_validity`. More than half of what the tokens of
    /// this service live is not asked of them. `refused` is the token that the service has just refused.
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

    /// A fetch has begun.
    pub const fn begin(&mut self) {
        self.fetching = true;
    }

    /// The fetch has ended, whatever it brought.
    pub const fn end(&mut self) {
        self.fetching = false;
    }

    /// There is a token, in place of the one before, and nothing fails any more.
    pub fn put(&mut self, now: Moment, times: TokenTimes, reason: Option<FetchReason>) -> TokenNumber {
        self.last_number += 1;
        let kept_until = (reason == Some(FetchReason::Refused)).then(|| now.plus(REFUSED_PAUSE));
        self.present = Some(Present { number: self.last_number, times, kept_until });
        self.failing = None;
        self.last_number
    }

    /// There was a failure, here or elsewhere; `None` when there is none any more. The present token stays.
    pub const fn set_failing(&mut self, failing: Option<Failing>) {
        self.failing = failing;
    }

    /// The failure, and how long the service is left alone.
    pub const fn failing(&self) -> Option<Failing> {
        self.failing
    }

    /// The number of the present token.
    pub fn number(&self) -> Option<TokenNumber> {
        self.present.map(|present| present.number)
    }

    /// When the present token ends, if it can still be used.
    pub fn end_of_usable(&self, now: Moment) -> Option<Moment> {
        self.present.filter(|present| !present.times.use_until.is_reached(now)).map(|present| present.times.end)
    }
}

#[cfg(test)]
mod tests;
