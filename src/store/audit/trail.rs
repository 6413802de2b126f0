//! Reads parts of the audit trail in either direction, filtered by actor, target and action. Appending is in
//! [`super::append`].
//!
//! Events are found by their position in the chain. Each search reads one range of one index, so that a page
//! at the end of a long trail is as fast as one at its beginning, however rare the events are.

use std::ops::Range;

use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    domain::{
        audit::{AuditCredential, AuditRecord, event::AuditAction},
        connectors::ConnectorId,
        time::Timestamp,
        users::UserId,
    },
    store::{Store, StoreError, database::reading, queries},
};

/// Which events to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSelection {
    /// Only events of this actor.
    pub actor: Option<UserId>,
    /// Only events with this target.
    pub target: Option<Uuid>,
    /// Only events with this action.
    pub action: Option<AuditAction>,
    /// Only events at these positions in the chain.
    pub places: Range<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOrder {
    NewestFirst,
    OldestFirst,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub record: AuditRecord,
    pub hash: [u8; 32],
}

/// The end of the trail, as it was stored with the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEnd {
    /// The position of the last event; 0 if there is none.
    pub seq: i64,
    /// The time of the last event.
    pub at: Timestamp,
    /// The hash of the last event.
    pub hash: [u8; 32],
}

impl Store {
    /// At most `limit`.
    pub async fn audit_rows(&self, selection: &AuditSelection, order: AuditOrder, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
        let lookup = match (selection.actor, selection.target, selection.action) {
            (None, None, None) => queries::AUDIT,
            (Some(_), None, None) => queries::AUDIT_OF_ACTOR,
            (None, Some(_), None) => queries::AUDIT_OF_TARGET,
            (None, None, Some(_)) => queries::AUDIT_OF_ACTION,
            (Some(_), None, Some(_)) => queries::AUDIT_OF_ACTOR_AND_ACTION,
            (None, Some(_), Some(_)) => queries::AUDIT_OF_TARGET_AND_ACTION,
            (Some(_), Some(_), None) => queries::AUDIT_OF_ACTOR_AND_TARGET,
            (Some(_), Some(_), Some(_)) => queries::AUDIT_OF_ALL_THREE,
        };
        let statement = match order {
            AuditOrder::NewestFirst => lookup.newest_first,
            AuditOrder::OldestFirst => lookup.oldest_first,
        };
        let Range { start, end } = selection.places;
        let (start, end) = match (selection.actor, selection.target, selection.action) {
            (None, None, None) => (start, end),
            // The indexes count backwards.
            _ => (start.saturating_neg(), end.saturating_neg()),
        };
        let rows: Vec<Row> = reading!(self, pool => {
            let mut query = sqlx::query_as(statement).bind(start).bind(end).bind(limit);
            if let Some(actor) = selection.actor {
                query = query.bind(actor);
            }
            if let Some(target) = selection.target {
                query = query.bind(target);
            }
            if let Some(action) = selection.action {
                query = query.bind(action.as_str());
            }
            query.fetch_all(pool).await?
        });
        rows.into_iter().map(AuditRow::try_from).collect()
    }

    /// The position of the first event at or after `at`; `None` if there is none.
    pub async fn audit_place_at(&self, at: Timestamp) -> Result<Option<i64>, StoreError> {
        Ok(reading!(self, pool => {
            sqlx::query_scalar(queries::AUDIT_PLACE_AT).bind(at.as_millis()).fetch_optional(pool).await?
        }))
    }

    pub async fn audit_end(&self) -> Result<AuditEnd, StoreError> {
        let (seq, at, hash): (i64, i64, Vec<u8>) =
            reading!(self, pool => sqlx::query_as(queries::AUDIT_END).fetch_one(pool).await?);
        let wrong = |_| StoreError::Row { table: "audit_head", column: "hash" };
        Ok(AuditEnd { seq, at: Timestamp::from_millis(at), hash: hash.try_into().map_err(wrong)? })
    }

    /// The id and email address of the user with this email key.
    pub async fn audit_person(&self, email_key: &str) -> Result<Option<(UserId, String)>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_as(queries::AUDIT_PERSON).bind(email_key).fetch_optional(pool).await?))
    }

    /// Email addresses in the order of their keys, at most `limit`.
    pub async fn audit_people(&self, limit: i64) -> Result<Vec<String>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_scalar(queries::AUDIT_PEOPLE).bind("").bind(limit).fetch_all(pool).await?))
    }

    /// The credentials whose name has this key, of all connectors and owners, newest first, at most `limit`.
    pub async fn audit_credentials(&self, name_key: &str, limit: i64) -> Result<Vec<AuditCredential>, StoreError> {
        let rows: Vec<(Uuid, String, String, Option<String>)> = reading!(self, pool => {
            sqlx::query_as(queries::AUDIT_CREDENTIALS).bind(name_key).bind(limit).fetch_all(pool).await?
        });
        let wrong = StoreError::Row { table: "credentials", column: "connector" };
        let found = rows.into_iter().map(|(id, connector, name, owner)| {
            ConnectorId::new(&connector).map(|connector| AuditCredential { id, connector, name, owner })
        });
        found.collect::<Option<_>>().ok_or(wrong)
    }

    /// Which of these ids have a page: each with `credential`, `source` or `destination`. Ids beyond the
    /// first [`queries::AUDIT_PAGES_OF`] are ignored.
    pub async fn audit_pages(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(reading!(self, pool => {
            let mut query = sqlx::query_as(queries::AUDIT_PAGES);
            for index in 0..queries::AUDIT_PAGES_OF {
                query = query.bind(ids.get(index).copied().unwrap_or(Uuid::nil()));
            }
            query.fetch_all(pool).await?
        }))
    }
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    at: i64,
    actor_kind: String,
    actor: Option<Uuid>,
    actor_name: String,
    action: String,
    target_kind: Option<String>,
    target: Option<Uuid>,
    target_name: String,
    outcome: String,
    address: String,
    request: String,
    detail: String,
    hash: Vec<u8>,
}

impl TryFrom<Row> for AuditRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let hash = row.hash.try_into().map_err(|_| StoreError::Row { table: "audit_events", column: "hash" })?;
        let record = AuditRecord {
            seq: row.seq,
            at: row.at,
            actor_kind: row.actor_kind,
            actor: row.actor,
            actor_name: row.actor_name,
            action: row.action,
            target_kind: row.target_kind,
            target: row.target,
            target_name: row.target_name,
            outcome: row.outcome,
            address: row.address,
            request: row.request,
            detail: row.detail,
        };
        Ok(Self { record, hash })
    }
}
