//! When an access token is used, when another one is fetched, and how long is waited after a failure. The rules of the
//! broker as a machine without input or output: whoever runs it tells the time and what came of a fetch.
//!
//! Time is told by two clocks, the one that people set and one that only runs. A token is used while both say that it
//! lives, and a pause is over when either says so: a clock that was set wrong costs one more fetch at most, and never
//! stands in the way.

use std::time::Duration;

use super::time::Timestamp;

/// The longest time before its end at which a token is replaced.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// The longest time before its end at which a token is given up, for what is on the way.
const SAFETY_MAX: Duration = Duration::from_secs(2);
/// The longest pause after a rejection.
const REJECTED_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest pause while the service is not available, unless it names another.
const UNAVAILABLE_MAX: Duration = Duration::from_secs(60);
/// The longest pause that a service may ask for.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Now, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the clock that is set.
    pub at: Timestamp,
    /// By the one that only runs: since some moment of the past.
    pub running: Duration,
}

impl Moment {
    /// A later moment.
    pub fn plus(self, by: Duration) -> Self {
        Self { at: self.at.plus(by), running: self.running.saturating_add(by) }
    }

    /// True when neither clock has passed `end`.
    fn is_before(self, end: Self) -> bool {
        self.at < end.at && self.running < end.running
    }

    /// How long it is to `end`, by the clock that says less; zero if either has passed it.
    pub fn until(self, end: Self) -> Duration {
        end.at.since(self.at).min(end.running.saturating_sub(self.running))
    }
}

/// The life of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLife {
    /// When another one is fetched, while this one is still used.
    pub refresh: Moment,
    /// When it is no longer used.
    pub end: Moment,
}

impl TokenLife {
    /// The life of a token that was issued just now for so long.
    pub fn issued(now: Moment, lifetime: Duration) -> Self {
        let margin = MARGIN_MAX.min(lifetime / 10);
        let safety = SAFETY_MAX.min(margin / 4);
        Self { refresh: now.plus(lifetime - margin), end: now.plus(lifetime - safety) }
    }

    /// The life of a token that somebody else has got, which ends at `end`.
    pub fn adopted(now: Moment, end: Timestamp) -> Self {
        let left = end.since(now.at);
        Self { refresh: now.plus(left - MARGIN_MAX.min(left / 10)), end: now.plus(left) }
    }

    /// Whether it may be used.
    pub fn is_alive(&self, now: Moment) -> bool {
        now.is_before(self.end)
    }

    /// Whether another one is to be fetched.
    pub fn is_due(&self, now: Moment) -> bool {
        !now.is_before(self.refresh)
    }
}

/// Why no token was issued, as far as it matters for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The service does not accept the credential: somebody has to do something.
    Rejected,
    /// The service asks for fewer requests.
    Limited,
    /// The service, or the way to it, does not work at the moment.
    Unavailable,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Rejected, Self::Limited, Self::Unavailable];

    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
        }
    }

    /// The class of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// How long to wait after this many failures in a row, of which there is at least one. `asked` is what the service
    /// asked for; `chance` is a number from 0 to 1 that is drawn for each pause, so that those who wait for one service do
    /// not all come back at once.
    pub fn pause(self, failures: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = |first: u64, most: Duration| Duration::from_secs(first << (failures.max(1) - 1).min(20)).min(most);
        let spread = |pause: Duration| pause.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
        let asked = asked.map(|pause| pause.min(ASKED_MAX));
        match self {
            Self::Rejected => doubled(15, REJECTED_MAX),
            Self::Limited => asked.unwrap_or_else(|| doubled(30, REJECTED_MAX)).max(Duration::from_secs(1)),
            Self::Unavailable => asked.unwrap_or_else(|| spread(doubled(2, UNAVAILABLE_MAX))).max(Duration::from_secs(1)),
        }
    }
}

/// What is known of the tokens of one version of a credential.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenState {
    /// The token in use, if there is one.
    pub token: Option<TokenLife>,
    /// Until when no other one is fetched, after failures.
    pub pause: Option<Moment>,
}

/// What to do for somebody who asks for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The token serves.
    Use,
    /// The token serves, and another one is to be fetched meanwhile.
    UseAndRefresh,
    /// There is none that serves: wait for the one that is fetched.
    Fetch,
    /// There is none, and the service is left alone for so long.
    Refuse(Duration),
}

impl TokenState {
    /// What to do now. `refused` says that the service has just refused the token in use.
    pub fn decide(&self, now: Moment, refused: bool) -> Decision {
        let paused = self.pause.map(|end| now.until(end)).filter(|left| !left.is_zero());
        let alive = self.token.filter(|life| !refused && life.is_alive(now));
        match (alive, paused) {
            (Some(life), None) if life.is_due(now) => Decision::UseAndRefresh,
            (Some(_), _) => Decision::Use,
            (None, None) => Decision::Fetch,
            (None, Some(left)) => Decision::Refuse(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Moment = Moment { at: Timestamp::from_millis(1_000_000_000_000), running: Duration::from_secs(5_000) };

    #[test]
    fn a_token_is_replaced_a_tenth_of_its_life_before_its_end_but_a_minute_at_most() {
        for (lifetime, refresh) in [(5.0, 4.5), (60.0, 54.0), (600.0, 540.0), (3_600.0, 3_540.0), (2_592_000.0, 2_591_940.0)] {
            let life = TokenLife::issued(START, Duration::from_secs_f64(lifetime));
            assert_eq!(life.refresh.running - START.running, Duration::from_secs_f64(refresh), "{lifetime}");
            assert!(
                life.end.running > life.refresh.running && life.end.running < START.running + Duration::from_secs_f64(lifetime)
            );
        }
    }

    #[test]
    fn a_clock_that_was_set_wrong_costs_no_more_than_a_fetch() {
        let life = TokenLife::issued(START, Duration::from_secs(600));
        let ran = |by: u64| START.running + Duration::from_secs(by);
        // Set back: the clock that runs still knows the end.
        let back = |by| Moment { at: Timestamp::from_millis(START.at.as_millis() - 3_600_000), running: ran(by) };
        assert!(life.is_alive(back(300)) && !life.is_alive(back(600)));
        // Set forward: it is taken for dead, and the next one lives as it should.
        let forward = Moment { at: START.at.plus(Duration::from_secs(3_600)), running: ran(1) };
        assert!(!life.is_alive(forward));
        assert!(TokenLife::issued(forward, Duration::from_secs(600)).is_alive(forward.plus(Duration::from_secs(500))));
        // A pause ends by whichever clock ends it first.
        let state = TokenState { token: None, pause: Some(START.plus(Duration::from_secs(60))) };
        assert_eq!(state.decide(back(61), false), Decision::Fetch);
        assert_eq!(state.decide(forward, false), Decision::Fetch);
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let seconds = |class: FailureClass, failures| class.pause(failures, None, 1.0).as_secs();
        let of = |class| [1, 2, 3, 4, 5, 6, 7, 40, u32::MAX].map(|failures| seconds(class, failures));
        assert_eq!(of(FailureClass::Rejected), [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(of(FailureClass::Unavailable), [2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(of(FailureClass::Limited), [30, 60, 120, 240, 480, 900, 900, 900, 900]);
        assert_eq!(FailureClass::Unavailable.pause(1, None, 0.0), Duration::from_secs(1));
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(FailureClass::Limited.pause(5, asked(7), 0.0).as_secs(), 7);
        assert_eq!(FailureClass::Unavailable.pause(5, asked(300), 0.5).as_secs(), 300);
        assert_eq!(FailureClass::Limited.pause(1, asked(0), 0.0).as_secs(), 1);
        assert_eq!(FailureClass::Limited.pause(1, asked(u64::MAX), 0.0), ASKED_MAX);
        assert_eq!(FailureClass::Rejected.pause(1, asked(1), 0.0).as_secs(), 15);
    }

    /// What can happen.
    #[derive(Debug, Clone)]
    enum Event {
        Run(u64),
        SetClock(i64),
        Ask,
        Refuse,
        Succeed(u64),
        Fail(FailureClass, Option<u64>),
    }

    fn event() -> impl Strategy<Value = Event> {
        let class = prop::sample::select(FailureClass::ALL.to_vec());
        prop_oneof![
            4 => (1_u64..400_000).prop_map(Event::Run),
            1 => (-1_000_000_i64..1_000_000).prop_map(Event::SetClock),
            8 => Just(Event::Ask),
            2 => Just(Event::Refuse),
            4 => (5_000_u64..2_592_000_000).prop_map(Event::Succeed),
            2 => (class, prop::option::of(0_u64..2_000)).prop_map(|(class, asked)| Event::Fail(class, asked)),
        ]
    }

    proptest! {
        #[test]
        fn the_machine_keeps_its_promises(events in prop::collection::vec(event(), 1..200)) {
            let (mut state, mut now) = (TokenState::default(), START);
            // What the model knows for itself, by the clock that runs.
            let (mut ends, mut paused_until, mut failures, mut fetching) = (Duration::ZERO, Duration::ZERO, 0_u32, false);
            for event in events {
                match event {
                    Event::Run(millis) => now = now.plus(Duration::from_millis(millis)),
                    Event::SetClock(by) => now.at = Timestamp::from_millis(now.at.as_millis() + by),
                    Event::Ask | Event::Refuse => {
                        let refused = matches!(event, Event::Refuse);
                        let decision = state.decide(now, refused);
                        match decision {
                            Decision::Use | Decision::UseAndRefresh => {
                                prop_assert!(!refused && now.running < ends, "a dead or refused token is used");
                            }
                            Decision::Fetch => fetching = true,
                            Decision::Refuse(left) => {
                                prop_assert!(now.running < paused_until && left <= paused_until - now.running);
                            }
                        }
                        fetching |= decision == Decision::UseAndRefresh;
                        if decision == Decision::UseAndRefresh || decision == Decision::Fetch {
                            prop_assert!(state.pause.is_none_or(|end| now.until(end).is_zero()), "the service is to be left alone");
                        }
                    }
                    Event::Succeed(millis) if fetching => {
                        let lifetime = Duration::from_millis(millis);
                        state = TokenState { token: Some(TokenLife::issued(now, lifetime)), pause: None };
                        (ends, failures, fetching) = (now.running + lifetime, 0, false);
                        prop_assert_eq!(state.decide(now, false), Decision::Use, "no fetch on each call");
                        let later = now.plus(lifetime.mul_f64(0.89));
                        prop_assert_eq!(state.decide(later, false), Decision::Use);
                    }
                    Event::Fail(class, asked) if fetching => {
                        failures += 1;
                        let pause = class.pause(failures, asked.map(Duration::from_secs), 0.5);
                        state.pause = Some(now.plus(pause));
                        (paused_until, fetching) = (now.running + pause, false);
                        // It is always tried again in the end.
                        let end = now.plus(pause);
                        let without = TokenState { token: None, pause: state.pause };
                        prop_assert_eq!(without.decide(end, false), Decision::Fetch);
                    }
                    Event::Succeed(_) | Event::Fail(..) => {}
                }
            }
        }
    }
}
