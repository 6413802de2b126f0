//! Points in time, and the clock that gives them. Everything that needs the time takes a [`Clock`].

use std::time::{Duration, Instant};

/// Milliseconds since 1970-01-01T00:00:00Z, the precision that both databases keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Saturates instead of wrapping around.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Saturates instead of wrapping around.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Reads a date, or a date and a time, as people and browsers write them: `2026-01-02`,
    /// `2026-01-02T03:04`, with seconds, with a space for the `T`, with `Z` or an offset from UTC (RFC 3339).
    /// Without an offset it is UTC. Also returns the precision: a day, a minute or a second.
    pub fn parse_utc(text: &str) -> Option<(Self, Duration)> {
        let text = text.trim();
        let exact = match text.len() {
            10 => Duration::from_secs(24 * 3_600),
            16 => Duration::from_secs(60),
            _ => Duration::from_secs(1),
        };
        if let Ok(point) = text.parse::<jiff::Timestamp>() {
            return Some((Self(point.as_millisecond()), Duration::from_secs(1)));
        }
        let point = text.parse::<jiff::civil::DateTime>().ok()?.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
        Some((Self(point.timestamp().as_millisecond()), exact))
    }

    /// RFC 3339 in UTC, with milliseconds unless they are zero.
    pub fn to_rfc3339(self) -> String {
        // Years that RFC 3339 can't write only come from a corrupt row.
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
    }

    /// Zero if `earlier` is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Gives the time. The program reads the system's clock; tests set theirs by hand.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// What this clock has for a moment of the one that only goes on. Tests let time pass by it.
    fn steady(&self, moment: Instant) -> Instant {
        moment
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since_epoch.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_people_and_browsers_write_it() {
        let at = |text: &str| Timestamp::parse_utc(text).map(|(at, exact)| (at.to_rfc3339(), exact.as_secs()));
        for (text, expected, exact) in [
            ("2026-01-02", "2026-01-02T00:00:00Z", 86_400),
            ("2026-01-02T03:04", "2026-01-02T03:04:00Z", 60),
            (" 2026-01-02 03:04:05 ", "2026-01-02T03:04:05Z", 1),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", 1),
            ("2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05.678Z", 1),
        ] {
            assert_eq!(at(text), Some((expected.to_owned(), exact)), "{text}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "2026-02-30T00:00", "03:04", "2026-01-02T25:00"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
