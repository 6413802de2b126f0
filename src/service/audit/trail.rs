//! Reading the audit trail: by page, as an export in JSON Lines, and checking its hash chain.
//!
//! Everything here requires the permission to read it. Reading happens in batches, so that a long trail needs no
//! more memory than a short one.

use std::{collections::HashMap, ops::Range};

use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::{
        access::permission::Permission,
        audit::{
            AuditCredential, AuditRecord,
            chain::{ChainBreak, ChainPoint, ChainWalk, hex},
            event::{AuditAction, AuditOutcome},
        },
        naming::name_key,
        resources::ResourceKind,
        time::Timestamp,
        users::{UserId, email_key},
    },
    service::{
        Service, ServiceError,
        access::caller::Caller,
        pagination::{self, PAGE},
    },
    store::{AuditOrder, AuditRow, AuditSelection},
};

/// The number of events read at a time by exports and checks.
const BATCH: i64 = 1_000;
/// The most email addresses to choose from.
const PEOPLE: i64 = 200;
/// The most credentials with the same name that are suggested.
const CREDENTIALS: i64 = 20;
/// What was attempted, in the audit record of a refusal.
const WANTED: &str = "reading the audit trail";

/// Which events to return. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only events of this user and of their API keys.
    pub actor: Option<UserId>,
    /// Only events that affected this object.
    pub target: Option<Uuid>,
    /// Only events of this action.
    pub action: Option<AuditAction>,
    /// Only events at or after this time.
    pub from: Option<Timestamp>,
    /// Only events before this time.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// The filter in words, for the record of an export.
    fn words(&self) -> String {
        let mut words = Vec::new();
        if let Some(actor) = self.actor {
            words.push(format!("of the person {actor}"));
        }
        if let Some(target) = self.target {
            words.push(format!("on {target}"));
        }
        if let Some(action) = self.action {
            words.push(format!("of the action {}", action.as_str()));
        }
        if let Some(from) = self.from {
            words.push(format!("from {}", from.to_rfc3339()));
        }
        if let Some(until) = self.until {
            words.push(format!("before {}", until.to_rfc3339()));
        }
        if words.is_empty() { "all events".to_owned() } else { format!("events {}", words.join(", ")) }
    }
}

/// The page of an object that an event affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditPlace {
    Credential,
    Resource(ResourceKind),
}

/// A page of at most 50 events, newest first.
#[derive(Debug, Default)]
pub struct AuditPage {
    pub events: Vec<AuditRecord>,
    /// The cursor (`before`) of the next page, if there is one.
    pub next: Option<i64>,
    /// Which objects of these events still exist and have a page.
    pub places: HashMap<Uuid, AuditPlace>,
}

/// An export in progress.
pub struct AuditExport {
    service: Service,
    selection: AuditSelection,
}

/// An event as it is exported.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a AuditRecord,
    /// In RFC 3339 format.
    time: String,
    /// The hash of the event in the chain, in hexadecimal.
    hash: String,
}

impl AuditExport {
    /// The next lines; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ServiceError> {
        let rows = self.service.0.store.audit_rows(&self.selection, AuditOrder::OldestFirst, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.selection.places.start = last.record.seq + 1;
        let mut lines = Vec::with_capacity(rows.len() * 512);
        for AuditRow { record, hash } in &rows {
            let line = Line { record, time: Timestamp::from_millis(record.at).to_rfc3339(), hash: hex(hash) };
            // Strings, numbers and ids always serialize, and writing to a vector doesn't fail.
            serde_json::to_writer(&mut lines, &line).map_err(|_| ServiceError::Unreadable { table: "audit_events" })?;
            lines.push(b'\n');
        }
        Ok(Some(lines))
    }
}

impl Service {
    /// At most `limit` events, newest first, that come before the sequence number `before`, and the next cursor.
    pub async fn audit_records(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<(Vec<AuditRecord>, Option<i64>), ServiceError> {
        self.require(caller, Permission::ReadAudit, WANTED).await?;
        let mut selection = self.audit_selection(filter).await?;
        selection.places.end = selection.places.end.min(before.unwrap_or(i64::MAX));
        let rows = self.0.store.audit_rows(&selection, AuditOrder::NewestFirst, limit + 1).await?;
        let mut events: Vec<AuditRecord> = rows.into_iter().map(|row| row.record).collect();
        let next = pagination::cut_to(limit, &mut events, |event| event.seq);
        Ok((events, next))
    }

    /// A page of events that come before the sequence number `before`.
    pub async fn audit_page(&self, caller: &Caller, filter: &AuditFilter, before: Option<i64>) -> Result<AuditPage, ServiceError> {
        let (events, next) = self.audit_records(caller, filter, before, PAGE).await?;
        let mut ids: Vec<Uuid> = events.iter().filter_map(|event| event.target).collect();
        ids.sort_unstable();
        ids.dedup();
        let places = self
            .0
            .store
            .audit_pages(&ids)
            .await?
            .into_iter()
            .map(|(id, kind)| (id, ResourceKind::parse(&kind).map_or(AuditPlace::Credential, AuditPlace::Resource)));
        Ok(AuditPage { events, next, places: places.collect() })
    }

    /// The first email addresses of users, to choose from.
    pub async fn audit_people(&self, caller: &Caller) -> Result<Vec<String>, ServiceError> {
        self.require(caller, Permission::ReadAudit, WANTED).await?;
        Ok(self.0.store.audit_people(PEOPLE).await?)
    }

    /// The user with this email address or id, with their address.
    pub async fn audit_person(&self, caller: &Caller, typed: &str) -> Result<Option<(UserId, String)>, ServiceError> {
        self.require(caller, Permission::ReadAudit, WANTED).await?;
        match Uuid::try_parse(typed) {
            Ok(id) => Ok(self.0.store.user(id).await?.map(|user| (id, user.email))),
            Err(_) => Ok(self.0.store.audit_person(&email_key(typed)).await?),
        }
    }

    /// The credentials with this name, of any owner.
    pub async fn audit_credentials(&self, caller: &Caller, name: &str) -> Result<Vec<AuditCredential>, ServiceError> {
        self.require(caller, Permission::ReadAudit, WANTED).await?;
        // PostgreSQL rejects text with a NUL, and no name contains one.
        if name.contains('\0') {
            return Ok(Vec::new());
        }
        Ok(self.0.store.audit_credentials(&name_key(name), CREDENTIALS).await?)
    }

    /// Records an export and starts it. It contains the events up to that record.
    pub async fn export_audit(&self, caller: &Caller, filter: &AuditFilter) -> Result<AuditExport, ServiceError> {
        self.require(caller, Permission::ReadAudit, "exporting the audit trail").await?;
        let audit = self.audit(caller, AuditAction::ExportAudit, None, AuditOutcome::Done, filter.words());
        self.0.store.record(&audit).await?;
        let mut selection = self.audit_selection(filter).await?;
        selection.places.end = selection.places.end.min(self.0.store.audit_end().await?.seq + 1);
        Ok(AuditExport { service: self.clone(), selection })
    }

    /// Checks the whole chain. Returns the last event, or where the chain first breaks. Events that other processes
    /// add during the check are checked too.
    pub async fn check_audit(
        &self,
        caller: &Caller,
        noted: Option<ChainPoint>,
    ) -> Result<Result<ChainPoint, ChainBreak>, ServiceError> {
        self.require(caller, Permission::ReadAudit, "checking the audit trail").await?;
        let store = &self.0.store;
        let mut walk = ChainWalk::new(&self.0.chain, noted);
        // Starts at the lowest sequence number, so that an event inserted before the first is found.
        let mut selection = AuditSelection { actor: None, target: None, action: None, places: i64::MIN..i64::MAX };
        let mut end = None;
        loop {
            let rows = store.audit_rows(&selection, AuditOrder::OldestFirst, BATCH).await?;
            for row in &rows {
                if let Err(broken) = walk.step(&row.record, &row.hash) {
                    return Ok(Err(broken));
                }
                selection.places.start = row.record.seq.saturating_add(1);
            }
            if !rows.is_empty() {
                continue;
            }
            let recorded = store.audit_end().await?;
            // An event that was added between the two reads is found when asking again.
            if recorded.seq > walk.last().seq && end != Some(recorded) {
                end = Some(recorded);
                continue;
            }
            let recorded = ChainPoint { seq: recorded.seq, hash: recorded.hash };
            return Ok(walk.end(recorded).map(|()| walk.last()));
        }
    }

    /// The end of the trail, to be kept in another place.
    pub async fn audit_end(&self) -> Result<ChainPoint, ServiceError> {
        let end = self.0.store.audit_end().await?;
        Ok(ChainPoint { seq: end.seq, hash: end.hash })
    }

    /// Turns a filter into a range of sequence numbers. Times never decrease along the chain.
    async fn audit_selection(&self, filter: &AuditFilter) -> Result<AuditSelection, ServiceError> {
        let mut places: Range<i64> = 1..i64::MAX;
        if let Some(from) = filter.from {
            places.start = self.0.store.audit_place_at(from).await?.unwrap_or(i64::MAX);
        }
        if let Some(until) = filter.until {
            places.end = self.0.store.audit_place_at(until).await?.unwrap_or(i64::MAX);
        }
        Ok(AuditSelection { actor: filter.actor, target: filter.target, action: filter.action, places })
    }
}
