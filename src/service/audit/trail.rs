//! Reading the audit trail: a page of it, all of it as JSON Lines, and whether its chain holds.
//!
//! Only who may read it gets anything of it. Everything is read in batches, so that the longest trail needs no more
//! memory than a short one.

use crate::domain::audit::AuditCredential;
use std::{collections::HashMap, ops::Range};

use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::{
        access::permission::Permission,
        audit::{
            AuditRecord,
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

/// How many events are read at a time where all are.
const BATCH: i64 = 1_000;
/// How many e-mail addresses are offered.
const PEOPLE: i64 = 200;
/// How many credentials of one name are offered.
const CREDENTIALS: i64 = 20;
/// What is asked for, in the words of a refusal.
const WANTED: &str = "reading the audit trail";

/// Which events are wanted. Without anything: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those of this person, and of the API keys of this person.
    pub actor: Option<UserId>,
    /// Only those on this thing.
    pub target: Option<Uuid>,
    /// Only those of this action.
    pub action: Option<AuditAction>,
    /// Only those that did not happen before this.
    pub from: Option<Timestamp>,
    /// Only those that happened before this.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// What it leaves over, in words.
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

/// The page of a thing that an event was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditPlace {
    /// That of a credential.
    Credential,
    /// That of a source or a destination.
    Resource(ResourceKind),
}

/// A page of events, newest first, at most 50.
#[derive(Debug, Default)]
pub struct AuditPage {
    /// The events.
    pub events: Vec<AuditRecord>,
    /// Where the next page begins (`before`), if there is one.
    pub next: Option<i64>,
    /// The things of these events that are still there and have a page.
    pub places: HashMap<Uuid, AuditPlace>,
}

/// An export under way.
pub struct AuditExport {
    service: Service,
    selection: AuditSelection,
}

/// An event as it is exported.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a AuditRecord,
    /// When it happened, as RFC 3339.
    time: String,
    /// Its link in the chain, in hexadecimal.
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
            // Texts, numbers and ids always serialise, and a vector takes them all.
            serde_json::to_writer(&mut lines, &line).map_err(|_| ServiceError::Unreadable { table: "audit_events" })?;
            lines.push(b'\n');
        }
        Ok(Some(lines))
    }
}

impl Service {
    /// At most `limit` events, newest first, beginning below the place `before`, and where the next page begins.
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

    /// A page of events, beginning below the place `before`.
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

    /// The first e-mail addresses of accounts, to choose from.
    pub async fn audit_people(&self, caller: &Caller) -> Result<Vec<String>, ServiceError> {
        self.require(caller, Permission::ReadAudit, WANTED).await?;
        Ok(self.0.store.audit_people(PEOPLE).await?)
    }

    /// The person of an e-mail address or an id, and the address.
    pub async fn audit_person(&self, caller: &Caller, typed: &str) -> Result<Option<(UserId, String)>, ServiceError> {
        self.require(caller, Permission::ReadAudit, WANTED).await?;
        match Uuid::try_parse(typed) {
            Ok(id) => Ok(self.0.store.user(id).await?.map(|user| (id, user.email))),
            Err(_) => Ok(self.0.store.audit_person(&email_key(typed)).await?),
        }
    }

    /// The credentials of a name, whoever they belong to.
    pub async fn audit_credentials(&self, caller: &Caller, name: &str) -> Result<Vec<AuditCredential>, ServiceError> {
        self.require(caller, Permission::ReadAudit, WANTED).await?;
        // No name has a NUL, and PostgreSQL takes no text with one.
        if name.contains('\0') {
            return Ok(Vec::new());
        }
        Ok(self.0.store.audit_credentials(&name_key(name), CREDENTIALS).await?)
    }

    /// Begins an export and records it. It holds the events up to this one.
    pub async fn export_audit(&self, caller: &Caller, filter: &AuditFilter) -> Result<AuditExport, ServiceError> {
        self.require(caller, Permission::ReadAudit, "exporting the audit trail").await?;
        let audit = self.audit(caller, AuditAction::ExportAudit, None, AuditOutcome::Done, filter.words());
        self.0.store.record(&audit).await?;
        let mut selection = self.audit_selection(filter).await?;
        selection.places.end = selection.places.end.min(self.0.store.audit_end().await?.seq + 1);
        Ok(AuditExport { service: self.clone(), selection })
    }

    /// Follows the whole chain. Answers the last event, or where the chain breaks first. Goes on well beside
    /// others that add events: what is added while it walks is checked too.
    pub async fn check_audit(
        &self,
        caller: &Caller,
        noted: Option<ChainPoint>,
    ) -> Result<Result<ChainPoint, ChainBreak>, ServiceError> {
        self.require(caller, Permission::ReadAudit, "checking the audit trail").await?;
        let store = &self.0.store;
        let mut walk = ChainWalk::new(&self.0.chain, noted);
        // From the least place of all, so that what was put before the first event is seen.
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
            // An event that was added between the two readings is there when it is asked for once more.
            if recorded.seq > walk.last().seq && end != Some(recorded) {
                end = Some(recorded);
                continue;
            }
            let recorded = ChainPoint { seq: recorded.seq, hash: recorded.hash };
            return Ok(walk.end(recorded).map(|()| walk.last()));
        }
    }

    /// The end of the trail: a line to be kept elsewhere.
    pub async fn audit_end(&self) -> Result<ChainPoint, ServiceError> {
        let end = self.0.store.audit_end().await?;
        Ok(ChainPoint { seq: end.seq, hash: end.hash })
    }

    /// What a filter means in places of the chain: times never fall along it.
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
