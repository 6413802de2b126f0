//! Relative time, as on a tile: "2 h ago". After a month, it is a date.

use std::fmt;

use crate::domain::time::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The age of a point in time. Displays as words; [`Self::iso`] is for `<time datetime>`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    at: Timestamp,
    now: Timestamp,
}

impl Age {
    /// The age of `at` at the time `now`. A time in the future, which another machine's clock can cause, counts as
    /// now.
    pub(crate) fn of(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    pub(crate) fn iso(&self) -> Iso {
        Iso(self.at)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.now.since(self.at).as_secs();
        match seconds {
            0..MINUTE => f.write_str("just now"),
            MINUTE..HOUR => write!(f, "{} min ago", seconds / MINUTE),
            HOUR..DAY => write!(f, "{} h ago", seconds / HOUR),
            _ if seconds < 2 * DAY => f.write_str("1 day ago"),
            _ if seconds < 31 * DAY => write!(f, "{} days ago", seconds / DAY),
            _ => match jiff::Timestamp::from_millisecond(self.at.as_millis()) {
                Ok(point) => write!(f, "on {}", point.strftime("%-d %b %Y")),
                Err(_) => f.write_str("long ago"),
            },
        }
    }
}

/// A point in time in ISO 8601, in UTC, to the second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Iso(Timestamp);

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A time outside the four-digit years of ISO 8601 can only come from a damaged row; the epoch keeps the
        // attribute well-formed.
        let point = jiff::Timestamp::from_second(self.0.as_millis().div_euclid(1_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{point}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// 2026-01-02T03:04:05Z.
    const THEN: Timestamp = Timestamp::from_millis(1_767_323_045_678);

    fn after(seconds: u64) -> String {
        Age::of(THEN, THEN.plus(Duration::from_secs(seconds))).to_string()
    }

    #[test]
    fn ages_are_rounded_down_to_one_unit() {
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (7_200, "2 h ago"),
            (86_399, "23 h ago"),
            (86_400, "1 day ago"),
            (2 * 86_400, "2 days ago"),
            (31 * 86_400 - 1, "30 days ago"),
            (31 * 86_400, "on 2 Jan 2026"),
        ] {
            assert_eq!(after(seconds), words, "{seconds} s");
        }
    }

    #[test]
    fn a_clock_that_runs_behind_does_not_show() {
        assert_eq!(Age::of(THEN.plus(Duration::from_secs(90)), THEN).to_string(), "just now");
    }

    #[test]
    fn the_machine_readable_form_is_whole_seconds_of_utc() {
        assert_eq!(Age::of(THEN, THEN).iso().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(Iso(Timestamp::from_millis(i64::MAX)).to_string(), "1970-01-01T00:00:00Z");
    }
}
