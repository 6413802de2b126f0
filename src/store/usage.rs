//! The usage history: uses of credentials by the minute, and totals by the hour. Values are added, never
//! overwritten, because several instances write.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, StoreError,
    database::{reading, transaction},
    queries,
};
use crate::domain::{
    credentials::CredentialId,
    resources::{ResourceId, ResourceKind},
    time::Timestamp,
    usage::{Asker, HourCounts, Latencies, Success, Tally, TokenSource, UseAction, UseKey, UseRecord},
};

/// Totals to add to an hour.
#[derive(Debug, Clone, Copy)]
pub struct NewHour {
    pub credential: CredentialId,
    /// The beginning of the hour, in milliseconds since the Unix epoch.
    pub hour: i64,
    pub resource: Option<ResourceId>,
    pub counts: HourCounts,
}

/// The subject whose history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryOf {
    /// A credential, for any resource.
    Credential(CredentialId),
    /// A resource, with any credential.
    Resource(ResourceId),
}

impl HistoryOf {
    const fn id(self) -> Uuid {
        match self {
            Self::Credential(id) | Self::Resource(id) => id,
        }
    }
}

/// Which uses to read.
#[derive(Debug, Clone, Copy)]
pub struct HistoryQuery {
    pub of: HistoryOf,
    /// Only minutes that began before this.
    pub before: Timestamp,
    /// Leaves out successful uses.
    pub only_problems: bool,
    pub limit: i64,
}

impl Store {
    /// Adds uses and totals, all or none. Leaves out those of deleted credentials. Pass both sorted by their
    /// keys, so that instances that add at the same time don't deadlock.
    pub async fn add_history(&self, uses: &[(UseKey, Tally)], hours: &[NewHour]) -> Result<(), StoreError> {
        const USE: &str =
            "INSERT INTO history (credential, minute, resource, asker, asker_id, action, token, outcome, success, uses,
                micros, longest, last_at)
            SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM credentials WHERE id = $1
            ON CONFLICT (credential, minute, resource, asker, asker_id, action, token, outcome) DO UPDATE SET
                uses = history.uses + excluded.uses, micros = history.micros + excluded.micros,
                longest = CASE WHEN history.longest > excluded.longest THEN history.longest ELSE excluded.longest END,
                last_at = CASE WHEN history.last_at > excluded.last_at THEN history.last_at ELSE excluded.last_at END";
        const HOUR: &str = "INSERT INTO history_hours (credential, hour, resource, requests, refused, failed, cached, fetches,
                failed_fetches, within_5, within_10, within_25, within_50, within_100, within_250, within_500, within_1000,
                within_2500, within_10000, beyond)
            SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
            FROM credentials WHERE id = $1
            ON CONFLICT (credential, hour, resource) DO UPDATE SET
                requests = history_hours.requests + excluded.requests, refused = history_hours.refused + excluded.refused,
                failed = history_hours.failed + excluded.failed, cached = history_hours.cached + excluded.cached,
                fetches = history_hours.fetches + excluded.fetches,
                failed_fetches = history_hours.failed_fetches + excluded.failed_fetches,
                within_5 = history_hours.within_5 + excluded.within_5, within_10 = history_hours.within_10 + excluded.within_10,
                within_25 = history_hours.within_25 + excluded.within_25, within_50 = history_hours.within_50 + excluded.within_50,
                within_100 = history_hours.within_100 + excluded.within_100,
                within_250 = history_hours.within_250 + excluded.within_250,
                within_500 = history_hours.within_500 + excluded.within_500,
                within_1000 = history_hours.within_1000 + excluded.within_1000,
                within_2500 = history_hours.within_2500 + excluded.within_2500,
                within_10000 = history_hours.within_10000 + excluded.within_10000, beyond = history_hours.beyond + excluded.beyond";
        transaction!(self, transaction => {
            for (key, tally) in uses {
                let (asker, asker_id) = asker_words(key.asker);
                let add = sqlx::query(USE)
                    .bind(key.credential)
                    .bind(key.minute)
                    .bind(key.resource.unwrap_or(Uuid::nil()))
                    .bind(asker)
                    .bind(asker_id)
                    .bind(key.action.as_str())
                    .bind(key.token.as_str())
                    .bind(key.outcome.word())
                    .bind(key.outcome.success().as_str())
                    .bind(number(tally.uses))
                    .bind(number(tally.micros))
                    .bind(number(tally.longest))
                    .bind(tally.last_at.as_millis());
                add.execute(&mut *transaction).await?;
            }
            for NewHour { credential, hour, resource, counts } in hours {
                let mut add = sqlx::query(HOUR)
                    .bind(credential)
                    .bind(hour)
                    .bind(resource.unwrap_or(Uuid::nil()))
                    .bind(number(counts.requests))
                    .bind(number(counts.refused))
                    .bind(number(counts.failed))
                    .bind(number(counts.cached))
                    .bind(number(counts.fetches))
                    .bind(number(counts.failed_fetches));
                for part in counts.latencies.0 {
                    add = add.bind(number(part));
                }
                add.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    /// Uses, newest first.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Vec<UseRecord>, StoreError> {
        let statement = match (query.of, query.only_problems) {
            (HistoryOf::Credential(_), false) => queries::HISTORY_OF_CREDENTIAL,
            (HistoryOf::Credential(_), true) => queries::PROBLEMS_OF_CREDENTIAL,
            (HistoryOf::Resource(_), false) => queries::HISTORY_OF_RESOURCE,
            (HistoryOf::Resource(_), true) => queries::PROBLEMS_OF_RESOURCE,
        };
        let rows: Vec<Row> = reading!(self, pool => {
            let lookup = sqlx::query_as(statement).bind(query.of.id()).bind(query.before.as_millis()).bind(query.limit);
            lookup.fetch_all(pool).await?
        });
        rows.into_iter().map(UseRecord::try_from).collect()
    }

    /// The hours from `from` on that have any uses, oldest first.
    pub async fn history_hours(&self, of: HistoryOf, from: Timestamp) -> Result<Vec<(Timestamp, HourCounts)>, StoreError> {
        let statement = match of {
            HistoryOf::Credential(_) => queries::HOURS_OF_CREDENTIAL,
            HistoryOf::Resource(_) => queries::HOURS_OF_RESOURCE,
        };
        let rows: Vec<HourRow> =
            reading!(self, pool => sqlx::query_as(statement).bind(of.id()).bind(from.as_millis()).fetch_all(pool).await?);
        Ok(rows.into_iter().map(HourRow::counts).collect())
    }

    /// Deletes uses of minutes that began before `minutes`, and totals of hours that began before `hours`.
    pub async fn delete_history(&self, minutes: Timestamp, hours: Timestamp) -> Result<(), StoreError> {
        const USES: &str = "DELETE FROM history WHERE minute < $1";
        const HOURS: &str = "DELETE FROM history_hours WHERE hour < $1";
        transaction!(self, transaction => {
            sqlx::query(USES).bind(minutes.as_millis()).execute(&mut *transaction).await?;
            sqlx::query(HOURS).bind(hours.as_millis()).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(())
        })
    }
}

const fn asker_words(asker: Asker) -> (&'static str, Uuid) {
    match asker {
        Asker::Key(id) => ("key", id),
        Asker::Person(id) => ("person", id),
        Asker::Keytile => ("keytile", Uuid::nil()),
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

#[derive(FromRow)]
struct Row {
    minute: i64,
    resource: Uuid,
    resource_kind: Option<String>,
    resource_name: Option<String>,
    asker: String,
    asker_id: Uuid,
    key_name: Option<String>,
    account: Option<Uuid>,
    account_name: Option<String>,
    action: String,
    token: String,
    outcome: String,
    success: String,
    uses: i64,
    micros: i64,
    longest: i64,
    last_at: i64,
}

impl TryFrom<Row> for UseRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let wrong = |column| StoreError::Row { table: "history", column };
        let kind = row.resource_kind.as_deref().and_then(ResourceKind::parse);
        Ok(Self {
            minute: Timestamp::from_millis(row.minute),
            resource: Some(row.resource).filter(|id| !id.is_nil()),
            resource_name: kind.zip(row.resource_name),
            asker: match row.asker.as_str() {
                "key" => Asker::Key(row.asker_id),
                "person" => Asker::Person(row.asker_id),
                "keytile" => Asker::Keytile,
                _ => return Err(wrong("asker")),
            },
            key_name: row.key_name,
            account: row.account.zip(row.account_name),
            action: UseAction::parse(&row.action).ok_or(wrong("action"))?,
            token: TokenSource::parse(&row.token).ok_or(wrong("token"))?,
            outcome: row.outcome,
            success: Success::parse(&row.success).ok_or(wrong("success"))?,
            uses: count(row.uses),
            micros: count(row.micros),
            longest: count(row.longest),
            last_at: Timestamp::from_millis(row.last_at),
        })
    }
}

#[derive(FromRow)]
struct HourRow {
    hour: i64,
    requests: i64,
    refused: i64,
    failed: i64,
    cached: i64,
    fetches: i64,
    failed_fetches: i64,
    within_5: i64,
    within_10: i64,
    within_25: i64,
    within_50: i64,
    within_100: i64,
    within_250: i64,
    within_500: i64,
    within_1000: i64,
    within_2500: i64,
    within_10000: i64,
    beyond: i64,
}

impl HourRow {
    fn counts(self) -> (Timestamp, HourCounts) {
        let latencies = [
            self.within_5,
            self.within_10,
            self.within_25,
            self.within_50,
            self.within_100,
            self.within_250,
            self.within_500,
            self.within_1000,
            self.within_2500,
            self.within_10000,
            self.beyond,
        ];
        let counts = HourCounts {
            requests: count(self.requests),
            refused: count(self.refused),
            failed: count(self.failed),
            cached: count(self.cached),
            fetches: count(self.fetches),
            failed_fetches: count(self.failed_fetches),
            latencies: Latencies(latencies.map(count)),
        };
        (Timestamp::from_millis(self.hour), counts)
    }
}
