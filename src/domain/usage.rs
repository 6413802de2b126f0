//! The history of a credential or resource: who used it, with which token, how long it took and how it ended.
//!
//! One use is a [`Use`]. Uses that differ only in their time are counted together for a minute ([`UseKey`],
//! [`Tally`]). Minutes are summed up into hours ([`HourCounts`]), which are kept longer.

use std::time::Duration;

use super::{
    api_keys::ApiKeyId,
    credentials::CredentialId,
    resources::{ResourceId, ResourceKind},
    time::Timestamp,
    tokens::{failure::FailureClass, state::FetchReason},
    users::UserId,
};

/// In milliseconds.
pub const MINUTE: i64 = 60_000;
/// In milliseconds.
pub const HOUR: i64 = 60 * MINUTE;

/// The upper bounds of the buckets of [`Latencies`], in milliseconds, inclusive. One more bucket holds
/// everything slower.
pub const LATENCY_BOUNDS: [u64; 10] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000];

/// The actor that used a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asker {
    /// An API client with this API key.
    Key(ApiKeyId),
    /// A person, on a page.
    Person(UserId),
    /// Keytile itself, refreshing a token in advance.
    Keytile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UseAction {
    /// A request through the proxy.
    Request,
    /// An access token was issued to an API client.
    Token,
    /// Test and Preview of a resource.
    Preview,
    /// A token was fetched from the service.
    Fetch,
    /// The credential was verified, which also fetches a token.
    Verification,
}

impl UseAction {
    pub const ALL: [Self; 5] = [Self::Request, Self::Token, Self::Preview, Self::Fetch, Self::Verification];

    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Token => "token",
            Self::Preview => "preview",
            Self::Fetch => "fetch",
            Self::Verification => "verification",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Whether its only purpose was to fetch a token.
    pub const fn is_fetch(self) -> bool {
        matches!(self, Self::Fetch | Self::Verification)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenSource {
    /// It was cached in memory.
    Memory,
    /// Another instance had fetched it, or this one before a restart.
    Database,
    /// It was fetched for this reason while the request waited.
    Fetched(FetchReason),
    /// There was none, or none was needed.
    None,
}

impl TokenSource {
    pub const ALL: [Self; 9] = [
        Self::Memory,
        Self::Database,
        Self::Fetched(FetchReason::First),
        Self::Fetched(FetchReason::Early),
        Self::Fetched(FetchReason::Expired),
        Self::Fetched(FetchReason::Refused),
        Self::Fetched(FetchReason::Edited),
        Self::Fetched(FetchReason::Tested),
        Self::None,
    ];

    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Database => "database",
            Self::Fetched(reason) => reason.as_str(),
            Self::None => "none",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UseOutcome {
    /// The service responded with this status.
    Answered(u16),
    /// A token was issued.
    Issued,
    /// The service issued no token or could not be reached. The verification, which is sealed, has the
    /// reason.
    Failed(FailureClass),
    /// Keytile didn't forward the request, or got no response from the service.
    Refused {
        /// The HTTP status of the response to the client.
        status: u16,
        /// The `code` of the problem in that response.
        code: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    Done,
    /// The request was at fault (4xx).
    Refused,
    /// The service, the way to it or the credential was at fault.
    Failed,
}

impl Success {
    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Done, Self::Refused, Self::Failed].into_iter().find(|success| success.as_str() == word)
    }
}

impl UseOutcome {
    pub const fn success(self) -> Success {
        match self {
            Self::Issued | Self::Answered(..400) => Success::Done,
            Self::Answered(400..500) | Self::Refused { status: 400..500, .. } => Success::Refused,
            Self::Answered(_) | Self::Refused { .. } | Self::Failed(_) => Success::Failed,
        }
    }

    /// The value stored in the database: a three-digit status, `issued`, or a code.
    pub fn word(self) -> String {
        match self {
            Self::Answered(status) => status.to_string(),
            Self::Issued => "issued".to_owned(),
            Self::Failed(class) => class.as_str().to_owned(),
            Self::Refused { code, .. } => code.to_owned(),
        }
    }
}

/// One use of a credential.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// When it ended.
    pub at: Timestamp,
    pub credential: CredentialId,
    pub resource: Option<ResourceId>,
    pub asker: Asker,
    pub action: UseAction,
    pub token: TokenSource,
    pub outcome: UseOutcome,
    /// How long the actor waited. For a request: until the service began to respond.
    pub took: Duration,
}

/// What uses have in common that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UseKey {
    pub credential: CredentialId,
    /// The beginning of the minute, in milliseconds since the Unix epoch.
    pub minute: i64,
    pub resource: Option<ResourceId>,
    pub asker: Asker,
    pub action: UseAction,
    pub token: TokenSource,
    pub outcome: UseOutcome,
}

impl Use {
    pub fn key(&self) -> UseKey {
        let Self { at, credential, resource, asker, action, token, outcome, .. } = *self;
        let minute = at.as_millis().div_euclid(MINUTE) * MINUTE;
        UseKey { credential, minute, resource, asker, action, token, outcome }
    }
}

/// A histogram: one count for each of [`LATENCY_BOUNDS`], and one for everything slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latencies(pub [u64; LATENCY_BOUNDS.len() + 1]);

impl Latencies {
    pub fn count(&mut self, took: Duration) {
        let millis = took.as_micros().div_ceil(1_000);
        let part = LATENCY_BOUNDS.iter().position(|bound| millis <= u128::from(*bound)).unwrap_or(LATENCY_BOUNDS.len());
        self.0[part] += 1;
    }

    pub fn add(&mut self, others: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(others.0) {
            *mine += theirs;
        }
    }

    /// The time in milliseconds below which a `share` (0 to 1) of the requests lie, interpolated linearly
    /// within a bucket. The last bound if it's above all of them; `None` if there are no requests.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.iter().sum();
        if all == 0 {
            return None;
        }
        let mut wanted = (all as f64 * share).max(1.0);
        let mut from = 0.0;
        for (number, bound) in self.0.iter().zip(LATENCY_BOUNDS) {
            let (number, bound) = (*number as f64, bound as f64);
            if number >= wanted {
                return Some(from + (bound - from) * wanted / number);
            }
            wanted -= number;
            from = bound;
        }
        Some(from)
    }
}

/// Uses that were counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub uses: u64,
    /// The total duration, in microseconds.
    pub micros: u64,
    /// The longest duration, in microseconds.
    pub longest: u64,
    /// When the last of them ended.
    pub last_at: Timestamp,
    pub latencies: Latencies,
}

impl Tally {
    pub fn of(one: &Use) -> Self {
        let micros = u64::try_from(one.took.as_micros()).unwrap_or(u64::MAX);
        let mut latencies = Latencies::default();
        latencies.count(one.took);
        Self { uses: 1, micros, longest: micros, last_at: one.at, latencies }
    }

    pub fn add(&mut self, others: &Self) {
        self.uses += others.uses;
        self.micros = self.micros.saturating_add(others.micros);
        self.longest = self.longest.max(others.longest);
        self.last_at = self.last_at.max(others.last_at);
        self.latencies.add(&others.latencies);
    }
}

/// Totals of one or more hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HourCounts {
    /// Requests, previews, and tokens issued to API clients.
    pub requests: u64,
    /// Requests at fault themselves (4xx).
    pub refused: u64,
    /// Requests that failed because of the service, the way to it or the credential.
    pub failed: u64,
    /// Requests that used a token cached in memory.
    pub cached: u64,
    /// Attempts to fetch a token, including verifications.
    pub fetches: u64,
    pub failed_fetches: u64,
    /// Of the requests, not the fetches.
    pub latencies: Latencies,
}

impl HourCounts {
    pub fn count(&mut self, key: &UseKey, tally: &Tally) {
        let success = key.outcome.success();
        if key.action.is_fetch() {
            self.fetches += tally.uses;
            self.failed_fetches += if success == Success::Done { 0 } else { tally.uses };
            return;
        }
        self.requests += tally.uses;
        self.cached += if key.token == TokenSource::Memory { tally.uses } else { 0 };
        match success {
            Success::Done => {}
            Success::Refused => self.refused += tally.uses,
            Success::Failed => self.failed += tally.uses,
        }
        self.latencies.add(&tally.latencies);
    }

    pub fn add(&mut self, others: &Self) {
        self.requests += others.requests;
        self.refused += others.refused;
        self.failed += others.failed;
        self.cached += others.cached;
        self.fetches += others.fetches;
        self.failed_fetches += others.failed_fetches;
        self.latencies.add(&others.latencies);
    }
}

/// Uses that were counted together, with current names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseRecord {
    /// The beginning of the minute.
    pub minute: Timestamp,
    pub resource: Option<ResourceId>,
    /// `None` if it's deleted.
    pub resource_name: Option<(ResourceKind, String)>,
    pub asker: Asker,
    /// `None` if no API key was used, or it's gone.
    pub key_name: Option<String>,
    /// The user, or the owner of the key, with the name. `None` if the user is deleted.
    pub account: Option<(UserId, String)>,
    pub action: UseAction,
    pub token: TokenSource,
    /// See [`UseOutcome::word`](crate::domain::usage::UseOutcome::word).
    pub outcome: String,
    pub success: Success,
    pub uses: u64,
    /// The total duration, in microseconds.
    pub micros: u64,
    /// The longest duration, in microseconds.
    pub longest: u64,
    /// When the last of them ended.
    pub last_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(millis: &[u64]) -> Latencies {
        let mut latencies = Latencies::default();
        for millis in millis {
            latencies.count(Duration::from_millis(*millis));
        }
        latencies
    }

    #[test]
    fn a_time_is_counted_in_the_first_part_that_holds_it() {
        assert_eq!(latencies(&[0, 5]).0[0], 2);
        assert_eq!(latencies(&[6, 10, 11]).0[1..3], [2, 1]);
        assert_eq!(latencies(&[10_000, 10_001, 90_000]).0[9..], [1, 2]);
        let mut just_above = Latencies::default();
        just_above.count(Duration::from_micros(5_001));
        assert_eq!(just_above.0[..2], [0, 1]);
    }

    #[test]
    fn a_quantile_lies_in_the_part_that_holds_it() {
        assert_eq!(latencies(&[]).quantile(0.5), None);
        assert_eq!(latencies(&[3; 10]).quantile(0.5), Some(2.5));
        assert_eq!(latencies(&[3, 3, 80, 80]).quantile(0.5), Some(5.0));
        assert_eq!(latencies(&[3, 80, 80, 80]).quantile(1.0), Some(100.0));
        assert_eq!(latencies(&[20_000]).quantile(0.95), Some(10_000.0), "above all bounds");
    }

    #[test]
    fn an_hour_tells_requests_from_fetches_and_faults_from_failures() {
        let one = Use {
            at: Timestamp::from_millis(90_000),
            credential: CredentialId::nil(),
            resource: None,
            asker: Asker::Keytile,
            action: UseAction::Request,
            token: TokenSource::Memory,
            outcome: UseOutcome::Answered(200),
            took: Duration::from_millis(7),
        };
        assert_eq!(one.key().minute, 60_000);
        let mut hour = HourCounts::default();
        let failed = UseOutcome::Failed(FailureClass::Rejected);
        for (action, token, outcome) in [
            (UseAction::Request, TokenSource::Memory, UseOutcome::Answered(200)),
            (UseAction::Request, TokenSource::Memory, UseOutcome::Answered(404)),
            (UseAction::Request, TokenSource::Fetched(FetchReason::First), UseOutcome::Answered(503)),
            (UseAction::Request, TokenSource::None, UseOutcome::Refused { status: 405, code: "method_not_allowed" }),
            (UseAction::Request, TokenSource::None, UseOutcome::Refused { status: 502, code: "credential_rejected" }),
            (UseAction::Token, TokenSource::Memory, UseOutcome::Issued),
            (UseAction::Fetch, TokenSource::Fetched(FetchReason::Early), UseOutcome::Issued),
            (UseAction::Verification, TokenSource::Fetched(FetchReason::Tested), failed),
        ] {
            let one = Use { action, token, outcome, ..one };
            hour.count(&one.key(), &Tally::of(&one));
        }
        let HourCounts { requests, refused, failed, cached, fetches, failed_fetches, latencies } = hour;
        assert_eq!((requests, refused, failed, cached, fetches, failed_fetches), (6, 2, 2, 3, 2, 1));
        assert_eq!(latencies.0[1], 6);
    }

    #[test]
    fn words_that_are_stored_are_read_again_and_differ() {
        for action in UseAction::ALL {
            assert_eq!(UseAction::parse(action.as_str()), Some(action));
        }
        for source in TokenSource::ALL {
            assert_eq!(TokenSource::parse(source.as_str()), Some(source));
        }
        assert_eq!(UseOutcome::Answered(204).word(), "204");
        assert_eq!(UseOutcome::Failed(FailureClass::Rejected).word(), "rejected");
    }
}
