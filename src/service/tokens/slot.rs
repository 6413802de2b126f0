//! The slot of a credential's version: its token in memory, and the one fetch that may be in progress for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::broker::{HeldToken, TokenOrigin, TokenRefusal};
use crate::{
    domain::{
        credentials::verification::Diagnosis,
        time::Timestamp,
        tokens::{
            failure::FailureClass,
            state::{Decision, Failing, FetchReason, Moment, TokenState},
        },
    },
    metrics::TokenCounts,
    service::ServiceError,
};

/// The shortest time between two checks of the database while the service is not asked: someone may have fixed the
/// problem on another instance.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long no background refresh starts after the database failed.
const QUIET: Duration = Duration::from_secs(1);

/// The result of a fetch, for every caller that waits for it.
pub(in crate::service) type Landing = Result<Arc<HeldToken>, Lost>;

/// Notifies waiting callers when a fetch has ended.
pub(in crate::service) type Landed = watch::Receiver<Option<Landing>>;

/// Why a fetch brought no token.
#[derive(Clone)]
pub(in crate::service) enum Lost {
    Refused(TokenRefusal),
    Gone,
    Failed(Arc<ServiceError>),
    Interrupted,
}

/// What a caller that asks for a token gets.
pub(in crate::service) enum Asked {
    /// A token, and the background refresh for the caller to start, if one is due.
    Token(Arc<HeldToken>, Option<Flight>),
    Refused(TokenRefusal),
    Wait(Landed),
    /// The caller is the first and must start the fetch.
    Begin(Flight, Landed),
}

/// The token of one version of a credential.
pub(in crate::service) struct Slot {
    pub(in crate::service) version: i64,
    inner: Mutex<Inner>,
}

struct Inner {
    state: TokenState,
    token: Option<Arc<HeldToken>>,
    /// Why fetching fails, while it does.
    diagnosis: Option<Arc<Diagnosis>>,
    /// The fetch in progress.
    flight: Option<Landed>,
    /// Until when the service is not asked, as stored in the database.
    retry_at: Option<Timestamp>,
    /// When the database was last checked, on the monotonic clock.
    looked_at: Option<Duration>,
    quiet_until: Duration,
}

impl Slot {
    pub(in crate::service) fn new(version: i64, edited: bool) -> Self {
        let state = TokenState::new(edited);
        let (token, diagnosis, flight, retry_at) = (None, None, None, None);
        let inner = Inner { state, token, diagnosis, flight, retry_at, looked_at: None, quiet_until: Duration::ZERO };
        Self { version, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is complete before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current token, if it can be used, and the refresh to start.
    pub(in crate::service) fn present(self: &Arc<Self>, now: Moment) -> Option<(Arc<HeldToken>, Option<Flight>)> {
        let mut inner = self.lock();
        match inner.state.decide(now, Duration::ZERO, None) {
            Decision::Use => Some((inner.token.clone()?, None)),
            Decision::UseAndRefresh => Some((inner.token.clone()?, self.refresh(&mut inner, now))),
            Decision::Fetch(_) | Decision::Wait | Decision::Refuse(_) => None,
        }
    }

    /// A caller asks for a token that is valid for `min_validity` and isn't the rejected one.
    pub(in crate::service) fn ask(self: &Arc<Self>, now: Moment, min_validity: Duration, refused: Option<&HeldToken>) -> Asked {
        let mut inner = self.lock();
        let decision = inner.decide(now, min_validity, refused);
        match (decision, &inner.token) {
            (Decision::Use, Some(token)) => return Asked::Token(Arc::clone(token), None),
            (Decision::UseAndRefresh, Some(token)) => {
                let token = Arc::clone(token);
                return Asked::Token(token, self.refresh(&mut inner, now));
            }
            (Decision::Refuse(_), _) => {
                let is_fresh = inner.looked_at.is_some_and(|at| now.steady.saturating_sub(at) < LOOK_AGAIN);
                if let Some(refusal) = inner.refusal(now).filter(|_| is_fresh) {
                    return Asked::Refused(refusal);
                }
            }
            _ => {}
        }
        match &inner.flight {
            Some(landed) => Asked::Wait(landed.clone()),
            None => {
                let (flight, landed) = self.begin(&mut inner);
                Asked::Begin(flight, landed)
            }
        }
    }

    fn refresh(self: &Arc<Self>, inner: &mut Inner, now: Moment) -> Option<Flight> {
        (inner.flight.is_none() && inner.quiet_until <= now.steady).then(|| self.begin(inner).0)
    }

    fn begin(self: &Arc<Self>, inner: &mut Inner) -> (Flight, Landed) {
        let (sender, landed) = watch::channel(None);
        inner.state.begin();
        inner.flight = Some(landed.clone());
        (Flight { slot: Arc::clone(self), sender, quiet: None, landing: Err(Lost::Interrupted) }, landed)
    }

    /// Stores a token.
    pub(in crate::service) fn put(&self, now: Moment, token: Arc<HeldToken>) {
        let mut inner = self.lock();
        let reason = match token.origin {
            TokenOrigin::Fetched(reason) => Some(reason),
            TokenOrigin::Adopted => None,
        };
        inner.state.put(now, token.times, reason);
        (inner.token, inner.diagnosis) = (Some(token), None);
    }

    /// Records a failure, or that there is none now.
    pub(in crate::service) fn set_failing(&self, failing: Option<(Failing, Arc<Diagnosis>, Timestamp)>) {
        let mut inner = self.lock();
        inner.state.set_failing(failing.as_ref().map(|(failing, ..)| *failing));
        inner.retry_at = failing.as_ref().map(|(.., retry_at)| *retry_at);
        inner.diagnosis = failing.map(|(_, diagnosis, _)| diagnosis);
    }

    /// True if this is the failure that is known already.
    pub(in crate::service) fn knows_failure(&self, class: FailureClass, retry_at: Timestamp) -> bool {
        let inner = self.lock();
        inner.retry_at == Some(retry_at) && inner.state.failing().is_some_and(|failing| failing.class == class)
    }

    pub(in crate::service) fn failing(&self) -> Option<Failing> {
        self.lock().state.failing()
    }

    /// The held token, and whether it can be used now.
    pub(in crate::service) fn token(&self, now: Moment) -> Option<(Arc<HeldToken>, bool)> {
        let inner = self.lock();
        let usable = inner.state.end_of_usable(now).is_some();
        inner.token.clone().map(|token| (token, usable))
    }

    /// Adds the state of this slot to the metrics.
    pub(in crate::service) fn count_into(&self, counts: &mut TokenCounts, now: Moment) {
        let inner = self.lock();
        *match inner.state.decide(now, Duration::ZERO, None) {
            Decision::Use => &mut counts.fresh,
            Decision::UseAndRefresh => &mut counts.due,
            Decision::Fetch(_) | Decision::Wait => &mut counts.none,
            Decision::Refuse(_) => &mut counts.failing,
        } += 1;
        counts.fetching += u64::from(inner.flight.is_some());
    }

    pub(in crate::service) fn looked(&self, now: Moment) {
        self.lock().looked_at = Some(now.steady);
    }

    /// What is left to do for a fetch in progress. The error says why a token must be fetched.
    pub(in crate::service) fn settled(
        &self,
        now: Moment,
        min_validity: Duration,
        refused: Option<&HeldToken>,
    ) -> Result<Landing, FetchReason> {
        let inner = self.lock();
        let mut alone = inner.state.clone();
        alone.end();
        let refused = inner.number_of(refused);
        match (alone.decide(now, min_validity, refused), &inner.token) {
            (Decision::Use, Some(token)) => Ok(Ok(Arc::clone(token))),
            (Decision::UseAndRefresh, _) => Err(FetchReason::Early),
            (Decision::Refuse(_), _) => match inner.refusal(now) {
                Some(refusal) => Ok(Err(Lost::Refused(refusal))),
                None => Err(FetchReason::Expired),
            },
            (Decision::Fetch(reason), _) => Err(reason),
            (Decision::Use | Decision::Wait, _) => Err(FetchReason::First),
        }
    }
}

impl Inner {
    fn decide(&self, now: Moment, min_validity: Duration, refused: Option<&HeldToken>) -> Decision {
        self.state.decide(now, min_validity, self.number_of(refused))
    }

    /// The number of the current token, if it is the rejected one.
    fn number_of(&self, refused: Option<&HeldToken>) -> Option<u64> {
        let is_present = refused.zip(self.token.as_ref()).is_some_and(|(refused, present)| present.is(refused));
        self.state.number().filter(|_| is_present)
    }

    fn refusal(&self, now: Moment) -> Option<TokenRefusal> {
        let failing = self.state.failing()?;
        let diagnosis = Arc::clone(self.diagnosis.as_ref()?);
        Some(TokenRefusal { class: failing.class, diagnosis, retry_in: failing.until.left(now) })
    }
}

/// The one fetch of a slot. However it ends, waiting callers are notified.
pub(in crate::service) struct Flight {
    slot: Arc<Slot>,
    sender: watch::Sender<Option<Landing>>,
    /// Until when no background refresh starts, if the database failed.
    quiet: Option<Duration>,
    /// What those who wait are told.
    landing: Landing,
}

impl Flight {
    pub(in crate::service) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Notifies waiting callers of the result.
    pub(in crate::service) fn land(mut self, now: Moment, landing: Landing) {
        if matches!(landing, Err(Lost::Failed(_))) {
            self.quiet = Some(now.steady.saturating_add(QUIET));
        }
        self.landing = landing;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut inner = self.slot.lock();
        inner.state.end();
        inner.flight = None;
        if let Some(until) = self.quiet {
            inner.quiet_until = until;
        }
        drop(inner);
        // Only now: who asks after somebody was told waits for no fetch that is over.
        let landing = std::mem::replace(&mut self.landing, Err(Lost::Interrupted));
        self.sender.send_replace(Some(landing));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Wake},
    };

    use super::*;

    const NOW: Moment = Moment { wall: Timestamp::from_millis(0), steady: Duration::ZERO };

    /// Asks again at the very moment at which it is told that a fetch has ended.
    struct AsksAgain(Arc<Slot>, Mutex<Option<bool>>);

    impl Wake for AsksAgain {
        fn wake(self: Arc<Self>) {
            let begins = matches!(self.0.ask(NOW, Duration::ZERO, None), Asked::Begin(..));
            self.1.lock().unwrap().get_or_insert(begins);
        }
    }

    #[test]
    fn who_asks_after_a_fetch_has_ended_does_not_get_what_that_brought() {
        let slot = Arc::new(Slot::new(1, false));
        let Asked::Begin(flight, mut landed) = slot.ask(NOW, Duration::ZERO, None) else { panic!("nothing is fetched yet") };
        assert!(matches!(slot.ask(NOW, Duration::ZERO, None), Asked::Wait(_)));
        let asks = Arc::new(AsksAgain(Arc::clone(&slot), Mutex::new(None)));
        let mut waiting = pin!(landed.wait_for(Option::is_some));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&Arc::clone(&asks).into())).is_pending());
        flight.land(NOW, Err(Lost::Gone));
        assert_eq!(*asks.1.lock().unwrap(), Some(true));
    }
}
