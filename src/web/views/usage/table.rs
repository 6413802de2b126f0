//! A usage history as a table: periods of time, and individual uses.

use axum::http::StatusCode;

use crate::{
    domain::{
        time::Timestamp,
        tokens::state::FetchReason,
        usage::{Asker, HOUR, HourCounts, LATENCY_BOUNDS, Success, TokenSource, UseAction, UseRecord},
    },
    service::usage::{History, ShownAccounts},
};

/// The time range of a page, and the length of its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// 24 hours, by the hour.
    Day,
    /// 7 days, by four hours.
    Week,
    /// 90 days, by the day.
    Quarter,
}

impl Range {
    /// All ranges, shortest first.
    pub(crate) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Quarter];

    /// The range for a word in the query; the first for any other word.
    pub(crate) fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|range| range.word() == word).unwrap_or(Self::Day)
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Quarter => "quarter",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Quarter => "90 days",
        }
    }

    /// The length of a period, in milliseconds.
    const fn step(self) -> i64 {
        match self {
            Self::Day => HOUR,
            Self::Week => 4 * HOUR,
            Self::Quarter => 24 * HOUR,
        }
    }

    const fn steps(self) -> i64 {
        match self {
            Self::Day => 24,
            Self::Week => 42,
            Self::Quarter => 90,
        }
    }

    /// The start of the range: of a whole period, such that the current one is the last.
    pub(crate) fn begin(self, now: Timestamp) -> Timestamp {
        let present = now.as_millis().div_euclid(self.step()) * self.step();
        Timestamp::from_millis(present - (self.steps() - 1) * self.step())
    }

    /// Its periods with their counts, oldest first.
    pub(crate) fn periods(self, now: Timestamp, hours: &[(Timestamp, HourCounts)]) -> Vec<Period> {
        let begin = self.begin(now).as_millis();
        let empty = |number| Period { range: self, from: begin + number * self.step(), counts: HourCounts::default() };
        let mut periods: Vec<Period> = (0..self.steps()).map(empty).collect();
        for (hour, counts) in hours {
            let number = (hour.as_millis() - begin).div_euclid(self.step());
            // Counts after the current period come from an instance whose clock is ahead.
            if let Some(period) = usize::try_from(number).ok().and_then(|number| periods.get_mut(number)) {
                period.counts.add(counts);
            }
        }
        periods
    }
}

/// A period of time, with its counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period {
    range: Range,
    /// The start, in milliseconds since the Unix epoch.
    from: i64,
    pub(crate) counts: HourCounts,
}

impl Period {
    /// Start and end in words, in UTC.
    pub(crate) fn label(&self) -> String {
        match self.range {
            Range::Day | Range::Week => {
                let end = Timestamp::from_millis(self.from + self.range.step());
                format!("{}–{}", self.written("%-d %b %H:%M"), written(end, "%H:%M"))
            }
            Range::Quarter => self.written("%-d %b %Y"),
        }
    }

    /// The start, for `<time datetime>`.
    pub(crate) fn iso(&self) -> String {
        Timestamp::from_millis(self.from).to_rfc3339()
    }

    /// The label on the time axis.
    pub(super) fn tick(&self) -> String {
        self.written(if self.range == Range::Day { "%H:%M" } else { "%-d %b" })
    }

    fn written(&self, format: &str) -> String {
        written(Timestamp::from_millis(self.from), format)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts == HourCounts::default()
    }

    pub(crate) fn median(&self) -> String {
        quantile(&self.counts, 0.5)
    }

    /// The 95th percentile of durations.
    pub(crate) fn p95(&self) -> String {
        quantile(&self.counts, 0.95)
    }
}

/// The sum of the counts in a range.
pub(crate) struct Totals(pub(crate) HourCounts);

impl Totals {
    pub(crate) fn of(periods: &[Period]) -> Self {
        let mut all = HourCounts::default();
        for period in periods {
            all.add(&period.counts);
        }
        Self(all)
    }

    /// The share of all requests, such as `3 (0.2 %)`.
    pub(crate) fn share(&self, part: &u64) -> String {
        match (self.0.requests, *part) {
            (0, _) | (_, 0) => number(part),
            (all, part) => format!("{} ({})", number(&part), percent(part as f64 / all as f64)),
        }
    }

    pub(crate) fn median(&self) -> String {
        quantile(&self.0, 0.5)
    }

    /// The 95th percentile of durations.
    pub(crate) fn p95(&self) -> String {
        quantile(&self.0, 0.95)
    }
}

/// Uses that were counted together, as a row of the table.
pub(crate) struct UseView {
    /// The end of the last use, for `<time datetime>`.
    pub(crate) iso: String,
    /// The same for people, to the minute.
    pub(crate) when: String,
    /// Name and path of the resource; no path if the resource was deleted.
    pub(crate) resource: Option<(String, Option<String>)>,
    pub(crate) who: String,
    pub(crate) what: &'static str,
    /// Where the token came from.
    pub(crate) token: &'static str,
    pub(crate) outcome: String,
    /// The CSS class of the outcome.
    pub(crate) class: &'static str,
    /// The number of uses.
    pub(crate) uses: String,
    /// The mean duration.
    pub(crate) mean: String,
    /// The longest duration; empty for a single use.
    pub(crate) longest: String,
}

impl UseView {
    pub(crate) fn all(history: &History) -> Vec<Self> {
        history.uses.iter().map(|row| Self::new(row, history.shown)).collect()
    }

    fn new(row: &UseRecord, shown: ShownAccounts) -> Self {
        let resource = row.resource.map(|id| match &row.resource_name {
            Some((kind, name)) => (name.clone(), Some(format!("/{}/{id}", kind.plural()))),
            None => ("deleted".to_owned(), None),
        });
        Self {
            iso: row.last_at.to_rfc3339(),
            when: written(row.minute, "%Y-%m-%d %H:%M"),
            resource,
            who: who(row, shown),
            what: what(row.action),
            token: token(row.token),
            outcome: outcome(&row.outcome),
            class: match row.success {
                Success::Done => "verified",
                Success::Refused => "unreachable",
                Success::Failed => "rejected",
            },
            uses: number(&row.uses),
            mean: duration(row.micros.checked_div(row.uses).unwrap_or_default()),
            longest: if row.uses > 1 { duration(row.longest) } else { String::new() },
        }
    }
}

fn who(row: &UseRecord, shown: ShownAccounts) -> String {
    let account = row.account.as_ref();
    if account.is_some_and(|(id, _)| !shown.shows(*id)) {
        return "someone else".to_owned();
    }
    match (row.asker, &row.key_name, account) {
        (Asker::Keytile, ..) => "Keytile".to_owned(),
        (Asker::Key(_), Some(key), Some((_, owner))) => format!("API key “{key}” of {owner}"),
        (Asker::Key(_), ..) => "an API key that no longer exists".to_owned(),
        (Asker::Person(_), _, Some((_, name))) => name.clone(),
        (Asker::Person(_), ..) => "an account that no longer exists".to_owned(),
    }
}

const fn what(action: UseAction) -> &'static str {
    match action {
        UseAction::Request => "Request",
        UseAction::Token => "Token issued",
        UseAction::Preview => "Test or preview",
        UseAction::Fetch => "Token fetched",
        UseAction::Verification => "Verification",
    }
}

/// The source of a token in words.
const fn token(source: TokenSource) -> &'static str {
    match source {
        TokenSource::Memory => "cached",
        TokenSource::Database => "stored earlier",
        TokenSource::Fetched(reason) => match reason {
            FetchReason::First => "fetched: none was stored",
            FetchReason::Early => "fetched early: the last one was about to expire",
            FetchReason::Expired => "fetched: the last one had expired",
            FetchReason::Refused => "fetched: the service rejected the last one (401)",
            FetchReason::Edited => "fetched: the credential was edited",
            FetchReason::Tested => "fetched by a verification",
        },
        TokenSource::None => "–",
    }
}

/// An outcome in words: `200 OK`, `Issued`, `Method not allowed`.
fn outcome(word: &str) -> String {
    if let Some(status) = word.parse().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
        return match status.canonical_reason() {
            Some(reason) => format!("{} {reason}", status.as_u16()),
            None => status.as_u16().to_string(),
        };
    }
    let mut letters = word.replace('_', " ");
    if let Some(first) = letters.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    letters
}

fn written(at: Timestamp, format: &str) -> String {
    // A time that can't be formatted can only come from a damaged row.
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH).strftime(format).to_string()
}

/// A number with thin spaces between thousands.
pub(crate) fn number(value: &u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        small if small < 0.1 => "< 0.1 %".to_owned(),
        some if some < 10.0 => format!("{some:.1} %"),
        many => format!("{many:.0} %"),
    }
}

/// A duration in a suitable unit.
fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => "< 1 ms".to_owned(),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// A quantile estimated from counts, so that it is approximate.
fn quantile(counts: &HourCounts, share: f64) -> String {
    let last = LATENCY_BOUNDS[LATENCY_BOUNDS.len() - 1] as f64;
    match counts.latencies.quantile(share) {
        None => "–".to_owned(),
        Some(millis) if millis >= last => format!("> {:.0} s", last / 1_000.0),
        Some(millis) if millis < 10.0 => format!("{millis:.1} ms"),
        Some(millis) if millis < 1_000.0 => format!("{millis:.0} ms"),
        Some(millis) => format!("{:.1} s", millis / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-02T03:04:05Z.
    const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);

    #[test]
    fn the_present_step_is_the_last_and_hours_are_added_to_their_step() {
        let one = HourCounts { requests: 1, ..HourCounts::default() };
        let hour = |ago: i64| Timestamp::from_millis((NOW.as_millis() / HOUR - ago) * HOUR);
        let hours: Vec<_> = [24, 23, 4, 3, 0, -1].map(|ago| (hour(ago), one)).to_vec();
        let day = Range::Day.periods(NOW, &hours);
        assert_eq!(day.len(), 24);
        assert_eq!((day[0].label(), day[23].label()), ("1 Jan 04:00–05:00".to_owned(), "2 Jan 03:00–04:00".to_owned()));
        let requests = |periods: &[Period]| periods.iter().map(|period| period.counts.requests).collect::<Vec<_>>();
        assert_eq!(requests(&day)[19..], [1, 1, 0, 0, 1], "what is before or after it is left out, {:?}", requests(&day));
        let week = Range::Week.periods(NOW, &hours);
        assert_eq!((week.len(), week[41].label().as_str(), week[41].counts.requests), (42, "2 Jan 00:00–04:00", 2 + 1 - 1));
        let quarter = Range::Quarter.periods(NOW, &hours);
        assert_eq!((quarter.len(), quarter[89].label().as_str()), (90, "2 Jan 2026"));
        assert_eq!((quarter[89].counts.requests, quarter[88].counts.requests), (3, 3));
        assert_eq!(Range::parse("week"), Range::Week);
        assert_eq!(Range::parse("nonsense"), Range::Day);
    }

    #[test]
    fn numbers_times_and_outcomes_are_written_for_people() {
        assert_eq!(number(&7), "7");
        assert_eq!(number(&1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((percent(0.0001), percent(0.0234), percent(0.5)), ("< 0.1 %".into(), "2.3 %".into(), "50 %".into()));
        assert_eq!(
            (duration(999), duration(3_210), duration(35_900), duration(1_260_000)),
            ("< 1 ms".into(), "3.2 ms".into(), "35 ms".into(), "1.2 s".into())
        );
        assert_eq!(
            (outcome("200"), outcome("issued"), outcome("method_not_allowed")),
            ("200 OK".into(), "Issued".into(), "Method not allowed".into())
        );
        assert_eq!((outcome("599"), outcome("")), ("599".into(), String::new()));
    }

    #[test]
    fn who_it_was_is_told_only_of_accounts_that_are_shown() {
        let [ana, ben] = [1, 2].map(uuid::Uuid::from_u128);
        let row = |asker, key: Option<&str>, account: Option<(uuid::Uuid, &str)>| UseRecord {
            minute: NOW,
            resource: None,
            resource_name: None,
            asker,
            key_name: key.map(str::to_owned),
            account: account.map(|(id, name)| (id, name.to_owned())),
            action: UseAction::Request,
            token: TokenSource::Memory,
            outcome: "200".into(),
            success: Success::Done,
            uses: 2,
            micros: 3_000,
            longest: 2_000,
            last_at: NOW,
        };
        let key = row(Asker::Key(uuid::Uuid::from_u128(9)), Some("nightly"), Some((ben, "Ben")));
        assert_eq!(who(&key, ShownAccounts::All), "API key “nightly” of Ben");
        assert_eq!(who(&key, ShownAccounts::Only(Some(ana))), "someone else");
        assert_eq!(who(&key, ShownAccounts::Only(Some(ben))), "API key “nightly” of Ben");
        assert_eq!(who(&row(Asker::Person(ana), None, Some((ana, "Ana"))), ShownAccounts::Only(None)), "someone else");
        assert_eq!(who(&row(Asker::Person(ana), None, None), ShownAccounts::All), "an account that no longer exists");
        assert_eq!(who(&row(Asker::Keytile, None, None), ShownAccounts::Only(None)), "Keytile");
    }
}
