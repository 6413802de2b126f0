use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Moment {
    Moment { wall: Timestamp::from_millis(1_000_000), steady: Duration::ZERO }.plus(SECOND * u32::try_from(seconds).unwrap())
}

fn ask(state: &TokenState, now: Moment) -> Decision {
    state.decide(now, Duration::ZERO, None)
}

#[test]
fn a_token_is_used_then_replaced_early_then_given_up() {
    for lifetime in [5, 60, 600, 3_600, 30 * 86_400] {
        let mut state = TokenState::new(false);
        assert_eq!(ask(&state, at(0)), Decision::Fetch(FetchReason::First));
        let lived = Duration::from_secs(lifetime);
        let number = state.put(at(0), TokenTimes::issued(at(0), lived), Some(FetchReason::First));
        let margin = Duration::from_secs(60).min(lived / 10);
        let due = at(0).plus(lived - margin);
        assert_eq!(ask(&state, at(0)), Decision::Use);
        assert_eq!(ask(&state, at(0).plus(lived - margin - Duration::from_millis(1))), Decision::Use);
        assert_eq!(ask(&state, due), Decision::UseAndRefresh);
        state.begin();
        assert_eq!(ask(&state, due), Decision::Use, "one refresh at a time");
        assert_eq!(state.decide(due, Duration::ZERO, Some(number)), Decision::Wait);
        assert_eq!(ask(&state, at(lifetime)), Decision::Wait);
        state.end();
        assert_eq!(ask(&state, at(lifetime)), Decision::Fetch(FetchReason::Expired));
    }
}

#[test]
fn a_failure_leaves_the_present_token_in_use() {
    let mut state = TokenState::new(false);
    state.put(at(0), TokenTimes::issued(at(0), SECOND * 100), None);
    state.set_failing(Some(Failing { class: FailureClass::Unavailable, failures: 1, until: at(97) }));
    assert_eq!(ask(&state, at(95)), Decision::Use);
    assert_eq!(state.decide(at(95), SECOND * 30, None), Decision::Use, "better than none");
    assert_eq!(ask(&state, at(97)), Decision::UseAndRefresh);
    state.set_failing(Some(Failing { class: FailureClass::Unavailable, failures: 2, until: at(110) }));
    assert_eq!(ask(&state, at(100)), Decision::Refuse(SECOND * 10));
    assert_eq!(ask(&state, at(110)), Decision::Fetch(FetchReason::Expired));
}

#[test]
fn a_service_that_refuses_every_token_is_not_asked_with_each_request() {
    let mut state = TokenState::new(true);
    assert_eq!(ask(&state, at(0)), Decision::Fetch(FetchReason::Edited));
    let first = state.put(at(0), TokenTimes::issued(at(0), SECOND * 600), Some(FetchReason::Edited));
    assert_eq!(state.decide(at(0), Duration::ZERO, Some(first)), Decision::Fetch(FetchReason::Refused));
    let second = state.put(at(0), TokenTimes::issued(at(0), SECOND * 600), Some(FetchReason::Refused));
    assert_eq!(state.decide(at(0), Duration::ZERO, Some(first)), Decision::Use);
    assert_eq!(state.decide(at(0), Duration::ZERO, Some(second)), Decision::Use);
    assert_eq!(state.decide(at(1), Duration::ZERO, Some(second)), Decision::Fetch(FetchReason::Refused));
}

#[test]
fn more_validity_than_the_tokens_have_is_not_asked_for() {
    let mut state = TokenState::new(false);
    state.put(at(0), TokenTimes::issued(at(0), SECOND * 100), None);
    assert_eq!(state.decide(at(49), SECOND * 3_600, None), Decision::Use);
    assert_eq!(state.decide(at(51), SECOND * 3_600, None), Decision::Fetch(FetchReason::Early));
}

#[test]
fn a_token_of_an_instance_with_another_clock_lives_no_longer_than_it_did() {
    let now = at(0);
    let fetched = now.wall.plus(SECOND * 300);
    let times = TokenTimes::adopted(now, fetched, fetched.plus(SECOND * 60));
    assert_eq!(times.end.left(now), SECOND * 60);
}

#[derive(Debug, Clone)]
enum Step {
    /// Both clocks advance.
    Pass(u32),
    /// Someone sets the wall clock.
    SetClock(i32),
    /// A token is needed, perhaps because the service refused the last one.
    Ask {
        refused: bool,
        min_validity: u32,
    },
    /// The fetch in progress returns a token with this lifetime, in milliseconds.
    Issued(u64),
    /// The fetch in progress fails.
    Failed(u8, u8),
    Edit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u32..120_000).prop_map(Step::Pass),
        1 => (-600_000_i32..600_000).prop_map(Step::SetClock),
        6 => (any::<bool>(), 0_u32..100_000).prop_map(|(refused, min_validity)| Step::Ask { refused, min_validity }),
        4 => prop_oneof![5_000_u64..10_000, 5_000_u64..2_592_000_000].prop_map(Step::Issued),
        2 => (0_u8..3, any::<u8>()).prop_map(|(class, jitter)| Step::Failed(class, jitter)),
        1 => Just(Step::Edit),
    ];
    proptest::collection::vec(step, 1..200)
}

/// A simple model of the same state, to compare with.
struct World {
    state: TokenState,
    now: Moment,
    /// The expiry of each token of the current version, by the monotonic clock.
    ends: Vec<Duration>,
    fetching: Option<FetchReason>,
    /// The end of the pause by the monotonic clock, and by the wall clock.
    pause: Option<Moment>,
    failures: u32,
}

impl World {
    fn ask(&mut self, refused: bool, min_validity: Duration) {
        let refused = if refused { self.state.number() } else { None };
        let decision = self.state.decide(self.now, min_validity, refused);
        let in_pause = self.pause.is_some_and(|until| until.steady > self.now.steady && until.wall > self.now.wall);
        match decision {
            Decision::Use | Decision::UseAndRefresh => {
                let end = self.ends.last().expect("a token of this version");
                assert!(*end > self.now.steady, "a token past its end");
                assert_eq!(self.state.number(), Some(self.ends.len() as u64));
            }
            Decision::Wait => assert!(self.fetching.is_some(), "nobody would ever answer"),
            Decision::Refuse(pause) => assert!(in_pause && !pause.is_zero()),
            Decision::Fetch(_) => {}
        }
        if let Decision::Fetch(reason) = decision {
            self.begin(reason, in_pause);
        } else if decision == Decision::UseAndRefresh {
            self.begin(FetchReason::Early, in_pause);
        }
    }

    fn begin(&mut self, reason: FetchReason, in_pause: bool) {
        assert!(self.fetching.is_none(), "one fetch at a time");
        assert!(!in_pause, "the service is to be left alone");
        self.state.begin();
        self.fetching = Some(reason);
    }

    fn issued(&mut self, lifetime: Duration) {
        let Some(reason) = self.fetching.take() else { return };
        self.state.end();
        self.state.put(self.now, TokenTimes::issued(self.now, lifetime), Some(reason));
        self.ends.push(self.now.steady + lifetime);
        (self.pause, self.failures) = (None, 0);
        // Asking now, and once more, starts no second fetch.
        for _ in 0..2 {
            assert_eq!(self.state.decide(self.now, Duration::ZERO, None), Decision::Use);
        }
        let soon = self.now.plus(lifetime * 8 / 10);
        assert_eq!(self.state.decide(soon, Duration::ZERO, None), Decision::Use);
    }

    fn failed(&mut self, class: FailureClass, jitter: u8) {
        if self.fetching.take().is_none() {
            return;
        }
        self.failures += 1;
        let until = self.now.plus(class.pause(self.failures, None, jitter));
        self.state.end();
        self.state.set_failing(Some(Failing { class, failures: self.failures, until }));
        self.pause = Some(until);
    }

    /// Whatever happened before, there is a token at the end.
    fn comes_to_an_end(&mut self) {
        for _ in 0..3 {
            self.issued(SECOND * 600);
            self.now = self.now.plus(SECOND * 901);
            self.ask(false, Duration::ZERO);
        }
        self.issued(SECOND * 600);
        assert_eq!(self.state.decide(self.now, Duration::ZERO, None), Decision::Use);
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold(steps in steps()) {
        let mut world = World { state: TokenState::new(false), now: at(1_000), ends: Vec::new(), fetching: None, pause: None, failures: 0 };
        for step in steps {
            match step {
                Step::Pass(millis) => world.now = world.now.plus(Duration::from_millis(millis.into())),
                Step::SetClock(millis) => {
                    world.now.wall = Timestamp::from_millis(world.now.wall.as_millis() + i64::from(millis));
                }
                Step::Ask { refused, min_validity } => world.ask(refused, Duration::from_millis(min_validity.into())),
                Step::Issued(lifetime) => world.issued(Duration::from_millis(lifetime)),
                Step::Failed(class, jitter) => {
                    let classes = [FailureClass::Rejected, FailureClass::Limited, FailureClass::Unavailable];
                    world.failed(classes[usize::from(class)], jitter);
                }
                Step::Edit => {
                    // The result of a fetch that was in progress doesn't apply to the new version.
                    world.state = TokenState::new(true);
                    world.ends.clear();
                    (world.fetching, world.pause, world.failures) = (None, None, 0);
                }
            }
        }
        world.comes_to_an_end();
    }
}
