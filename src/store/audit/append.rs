//! Appends to the audit trail. Reading it is in [`super::trail`].

/// Appends an event to the chain, in the transaction of the change that it describes.
///
/// The head of the chain is one row, which is locked until the transaction ends, so events have a single
/// order. Take it last, just before the commit: transactions then wait for each other only briefly, and never
/// deadlock.
macro_rules! append_audit {
    ($transaction:expr, $audit:expr) => {{
        const NEXT: &str = "UPDATE audit_head SET seq = seq + 1 WHERE singleton = 1 RETURNING seq, at, hash";
        const INSERT: &str = "INSERT INTO audit_events (seq, at, actor_kind, actor, actor_name, action, target_kind, target,
                target_name, outcome, address, request, detail, hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        const HEAD: &str = "UPDATE audit_head SET at = $1, hash = $2 WHERE singleton = 1";
        let audit: &$crate::domain::audit::Audit<'_> = $audit;
        let (seq, last, before): (i64, i64, Vec<u8>) = sqlx::query_as(NEXT).fetch_one(&mut *$transaction).await?;
        let wrong = |_| $crate::store::StoreError::Row { table: "audit_head", column: "hash" };
        let before: [u8; 32] = before.try_into().map_err(wrong)?;
        // If the clock was set back, the event gets the time of the last one: the trail is searched by time.
        let at = $crate::domain::time::Timestamp::from_millis(audit.event.at.as_millis().max(last));
        let record = $crate::domain::audit::AuditRecord::new(&audit.event, seq, at);
        let hash = audit.chain.link(&before, &record.to_bytes());
        let insert = sqlx::query(INSERT)
            .bind(record.seq)
            .bind(record.at)
            .bind(&record.actor_kind)
            .bind(record.actor)
            .bind(&record.actor_name)
            .bind(&record.action)
            .bind(&record.target_kind)
            .bind(record.target)
            .bind(&record.target_name)
            .bind(&record.outcome)
            .bind(&record.address)
            .bind(&record.request)
            .bind(&record.detail)
            .bind(&hash[..]);
        insert.execute(&mut *$transaction).await?;
        sqlx::query(HEAD).bind(record.at).bind(&hash[..]).execute(&mut *$transaction).await?;
    }};
}
pub(in crate::store) use append_audit;

use crate::{
    domain::audit::Audit,
    store::{Store, StoreError, database::transaction},
};

impl Store {
    /// Records an event that comes with no other change, such as a refusal.
    pub async fn record(&self, audit: &Audit<'_>) -> Result<(), StoreError> {
        transaction!(self, transaction => {
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(())
        })
    }
}
