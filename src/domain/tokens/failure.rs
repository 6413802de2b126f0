//! Why a service issued no access token, and how long to wait before asking again.

use std::time::Duration;

use crate::domain::credentials::verification::{Blame, Diagnosis, FaultCode};

/// The first pause after a rejection. It doubles with every further one.
const REJECTED_FIRST: Duration = Duration::from_secs(15);
/// The longest pause after a rejection.
const REJECTED_MAX: Duration = Duration::from_secs(900);
/// The first pause after a 429 that doesn't ask for one.
const LIMITED_FIRST: Duration = Duration::from_secs(10);
/// The longest pause after a 429 that doesn't ask for one.
const LIMITED_MAX: Duration = Duration::from_secs(300);
/// The first and shortest pause after a failure of the service or of the way to it.
const UNAVAILABLE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause after such a failure, unless the service asks for more.
const UNAVAILABLE_MAX: Duration = Duration::from_secs(60);
/// The longest pause that a service can ask for. A longer one is more likely a mistake.
const ASKED_MAX: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// The service rejects the credential: trying again rarely helps until someone changes it.
    Rejected,
    /// The service is limiting requests.
    Limited,
    /// The service, or the way to it, is down.
    Unavailable,
}

impl FailureClass {
    pub const fn of(diagnosis: &Diagnosis) -> Self {
        match (diagnosis.code, diagnosis.blame) {
            (FaultCode::RateLimited, _) => Self::Limited,
            (_, Blame::Input) => Self::Rejected,
            (_, Blame::Service | Blame::ThisServer) => Self::Unavailable,
        }
    }

    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Rejected, Self::Limited, Self::Unavailable].into_iter().find(|class| class.as_str() == word)
    }

    /// How long to wait after `failures` in a row. `asked` is the pause in seconds that the service asked
    /// for. `jitter` is random, so that instances don't all come back at the same time.
    pub fn pause(self, failures: u32, asked: Option<u64>, jitter: u8) -> Duration {
        let grown = |first: Duration, most: Duration| first.saturating_mul(1 << failures.clamp(1, 16).saturating_sub(1)).min(most);
        let asked = asked.map(|seconds| Duration::from_secs(seconds).min(ASKED_MAX));
        match self {
            Self::Rejected => grown(REJECTED_FIRST, REJECTED_MAX).max(asked.unwrap_or_default()),
            // Wait a little even if the service asks for no pause at all.
            Self::Limited => asked.map_or(grown(LIMITED_FIRST, LIMITED_MAX), |asked| asked.max(UNAVAILABLE_FIRST)),
            Self::Unavailable => {
                let most = grown(UNAVAILABLE_FIRST, UNAVAILABLE_MAX);
                let jittered = most / 2 + (most / 2).mul_f64(f64::from(jitter) / 255.0);
                jittered.max(UNAVAILABLE_FIRST).max(asked.unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(class: FailureClass, asked: Option<u64>, jitter: u8) -> Vec<u64> {
        (1..=8).map(|failures| class.pause(failures, asked, jitter).as_secs()).collect()
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        assert_eq!(seconds(FailureClass::Rejected, None, 0), [15, 30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(seconds(FailureClass::Limited, None, 0), [10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(seconds(FailureClass::Unavailable, None, 255), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds(FailureClass::Unavailable, None, 0), [1, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(FailureClass::Rejected.pause(u32::MAX, None, 9), REJECTED_MAX);
    }

    #[test]
    fn a_pause_that_the_service_asks_for_is_kept() {
        assert_eq!(seconds(FailureClass::Limited, Some(7), 0)[..2], [7, 7]);
        assert_eq!(FailureClass::Limited.pause(1, Some(0), 0), UNAVAILABLE_FIRST);
        assert_eq!(seconds(FailureClass::Unavailable, Some(20), 255)[4..], [20, 32, 60, 60]);
        assert_eq!(FailureClass::Limited.pause(1, Some(u64::MAX), 0), ASKED_MAX);
    }

    #[test]
    fn words_are_read_back() {
        for class in [FailureClass::Rejected, FailureClass::Limited, FailureClass::Unavailable] {
            assert_eq!(FailureClass::parse(class.as_str()), Some(class));
        }
    }
}
