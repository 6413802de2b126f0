//! What is known of the tokens of one version of a credential, and the fetch that is under way for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{HeldToken, NoToken};
use crate::domain::{
    token_state::{Decision, FailureClass, Moment, TokenState},
    verification::Diagnosis,
};

/// Why a token was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenReason {
    /// There was none.
    First,
    /// The last one was about to end.
    Early,
    /// The last one had ended.
    Expired,
    /// The service has refused the last one.
    Refused,
    /// It came with a verification.
    Verified,
    /// Another instance has fetched it, or this one before it was restarted.
    Stored,
}

/// That the service issues no token.
#[derive(Debug, Clone)]
pub struct TokenRefusal {
    /// How it refuses.
    pub class: FailureClass,
    /// Why.
    pub diagnosis: Arc<Diagnosis>,
    /// In how much time it is asked again.
    pub retry_in: Duration,
}

/// What came of a fetch.
pub(super) type Outcome = Result<Arc<HeldToken>, NoToken>;
/// Tells those who wait what came of a fetch.
pub(super) type Fetched = watch::Receiver<Option<Outcome>>;

/// What a look into the slot has found.
pub(super) enum Found {
    /// A token that serves.
    Token(Arc<HeldToken>),
    /// A token that serves, while it is time to fetch another one.
    TokenAndRefresh(Arc<HeldToken>),
    /// The service is left alone for a while.
    Refused(TokenRefusal),
    /// None that serves.
    Nothing {
        /// Why one is fetched.
        reason: TokenReason,
    },
}

#[derive(Default)]
pub(super) struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    token: Option<Arc<HeldToken>>,
    /// The last failure, and when the pause after it ends.
    failure: Option<(FailureClass, Arc<Diagnosis>, Moment)>,
    fetching: Option<Fetched>,
}

impl Slot {
    pub(super) fn find(&self, now: Moment, refused: Option<&Arc<HeldToken>>, min_validity: Duration) -> Found {
        let state = self.state();
        let is_refused = |token: &Arc<HeldToken>| refused.is_some_and(|refused| Arc::ptr_eq(refused, token));
        let refused_now = state.token.as_ref().is_some_and(is_refused);
        let too_short = state.token.as_ref().is_some_and(|token| token.is_too_short(now, min_validity));
        let known = TokenState {
            token: state.token.as_ref().map(|token| token.life),
            pause: state.failure.as_ref().map(|(_, _, end)| *end),
        };
        match (known.decide(now, refused_now || too_short), &state.token) {
            (Decision::Use, Some(token)) => Found::Token(Arc::clone(token)),
            (Decision::UseAndRefresh, Some(token)) if state.fetching.is_some() => Found::Token(Arc::clone(token)),
            (Decision::UseAndRefresh, Some(token)) => Found::TokenAndRefresh(Arc::clone(token)),
            (Decision::Refuse(_), Some(token)) if too_short && !refused_now && token.life.is_alive(now) => {
                // Better one that ends soon than none.
                Found::Token(Arc::clone(token))
            }
            (Decision::Refuse(retry_in), _) => match &state.failure {
                Some((class, diagnosis, _)) => {
                    Found::Refused(TokenRefusal { class: *class, diagnosis: Arc::clone(diagnosis), retry_in })
                }
                None => Found::Nothing { reason: TokenReason::First },
            },
            (Decision::Fetch | Decision::Use | Decision::UseAndRefresh, token) => Found::Nothing {
                reason: match token {
                    None => TokenReason::First,
                    Some(_) if refused_now => TokenReason::Refused,
                    Some(token) if token.life.is_alive(now) => TokenReason::Early,
                    Some(_) => TokenReason::Expired,
                },
            },
        }
    }

    /// The fetch that is under way, or a new one: then also whom to tell of its outcome.
    pub(super) fn begin(&self) -> (Fetched, Option<watch::Sender<Option<Outcome>>>) {
        let mut state = self.state();
        // One that has ended without an outcome is under way no more.
        if let Some(fetching) = state.fetching.as_ref().filter(|fetching| fetching.has_changed().is_ok()) {
            return (fetching.clone(), None);
        }
        let (sender, receiver) = watch::channel(None);
        state.fetching = Some(receiver.clone());
        (receiver, Some(sender))
    }

    /// The token in use, whether or not it serves.
    pub(super) fn present(&self) -> Option<Arc<HeldToken>> {
        self.state().token.clone()
    }

    /// Whether the pause after the last failure is over, whatever the database says: this instance has waited for it.
    pub(super) fn has_waited(&self, now: Moment) -> bool {
        self.state().failure.as_ref().is_some_and(|(_, _, end)| now.until(*end).is_zero())
    }

    /// Uses a token from now on.
    pub(super) fn hold(&self, token: Arc<HeldToken>) {
        let mut state = self.state();
        state.token = Some(token);
        state.failure = None;
    }

    /// The end of a fetch. Told to those who wait only after what it found is in the slot, so that whoever asks next
    /// finds it there.
    pub(super) fn end(&self, outcome: &Outcome, now: Moment) {
        let mut state = self.state();
        state.fetching = None;
        match outcome {
            Ok(token) => {
                state.token = Some(Arc::clone(token));
                state.failure = None;
            }
            Err(NoToken::Refused(refusal)) => {
                state.failure = Some((refusal.class, Arc::clone(&refusal.diagnosis), now.plus(refusal.retry_in)));
            }
            Err(NoToken::Gone) => state.token = None,
            Err(NoToken::Failed) => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
