//! Failed sign-ins, counted in buckets. A bucket is a keyed hash of an account, an address or a browser, so
//! that the table reveals nothing to someone who reads it.
//!
//! An attempt is counted as a failure before it's made, and taken back if it succeeds: concurrent guesses get
//! no more attempts than guesses one after another.

use sqlx::FromRow;

use crate::{
    domain::{audit::Audit, time::Timestamp, users::sign_in_throttle::Failures},
    store::{
        Store, StoreError,
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

/// Where an attempt is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInBucket {
    /// The keyed hash.
    pub hash: [u8; 32],
    /// The number of failures before the first wait.
    pub free: i64,
}

/// An attempt that was counted in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedAttempt {
    pub bucket: SignInBucket,
    /// The count without this attempt.
    pub before: Failures,
    /// The count with this attempt.
    pub after: Failures,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// The attempt may be made. It's counted in each bucket, in the order of the buckets.
    Counted(Vec<CountedAttempt>),
    /// No attempt is allowed before this time. Nothing was counted.
    Blocked(Timestamp),
}

impl Store {
    /// The time until which one of the buckets blocks attempts; `None` if none does. Writes nothing.
    pub async fn sign_in_blocked(&self, buckets: &[SignInBucket], now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut until = None;
        for bucket in buckets {
            let row: Option<Row> = reading!(self, pool => {
                sqlx::query_as(queries::SIGN_IN_LIMIT).bind(&bucket.hash[..]).fetch_optional(pool).await?
            });
            until = until.max(row.map(Failures::from).and_then(|failures| blocked_until(&failures, now)));
        }
        Ok(until)
    }

    /// Counts an attempt in every bucket, or in none if one of them blocks it.
    pub async fn count_attempt(&self, buckets: &[SignInBucket], now: Timestamp) -> Result<Reservation, StoreError> {
        // Creates a missing row. In PostgreSQL, locks an existing row until the transaction ends.
        const FETCH: &str = "INSERT INTO sign_in_limits (bucket, failures, blocked_until, updated_at) VALUES ($1, 0, 0, $2)
            ON CONFLICT (bucket) DO UPDATE SET failures = sign_in_limits.failures
            RETURNING failures, blocked_until, updated_at";
        const COUNT: &str = "UPDATE sign_in_limits SET failures = $2, blocked_until = $3, updated_at = $4 WHERE bucket = $1";
        // Always in the same order, so that concurrent attempts don't deadlock.
        let mut order: Vec<usize> = (0..buckets.len()).collect();
        order.sort_by_key(|index| buckets[*index].hash);
        transaction!(self, transaction => {
            let mut counted = Vec::with_capacity(buckets.len());
            let mut until = None;
            for index in order {
                let bucket = buckets[index];
                let fetch = sqlx::query_as(FETCH).bind(&bucket.hash[..]).bind(now.as_millis());
                let row: Row = fetch.fetch_one(&mut *transaction).await?;
                let before = Failures::from(row);
                until = until.max(blocked_until(&before, now));
                counted.push((index, CountedAttempt { bucket, before, after: before.and_one_more(bucket.free, now) }));
            }
            if let Some(until) = until {
                return Ok(Reservation::Blocked(until));
            }
            for (_, attempt) in &counted {
                let count = sqlx::query(COUNT)
                    .bind(&attempt.bucket.hash[..])
                    .bind(attempt.after.count)
                    .bind(attempt.after.blocked_until.as_millis())
                    .bind(now.as_millis());
                count.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            counted.sort_by_key(|(index, _)| *index);
            Ok(Reservation::Counted(counted.into_iter().map(|(_, attempt)| attempt).collect()))
        })
    }

    /// Takes back the count of an attempt that didn't fail. `cleared` buckets lose all their failures,
    /// `given_back` ones only this one.
    pub async fn uncount_attempt(&self, cleared: &[CountedAttempt], given_back: &[CountedAttempt]) -> Result<(), StoreError> {
        const CLEAR: &str = "DELETE FROM sign_in_limits WHERE bucket = $1";
        // A wait that this attempt caused is removed; one that a later attempt caused stays.
        const GIVE_BACK: &str = "UPDATE sign_in_limits SET failures = CASE WHEN failures > 0 THEN failures - 1 ELSE 0 END,
            blocked_until = CASE WHEN blocked_until = $2 THEN $3 ELSE blocked_until END WHERE bucket = $1";
        let mut all: Vec<(&CountedAttempt, bool)> = cleared.iter().map(|attempt| (attempt, true)).collect();
        all.extend(given_back.iter().map(|attempt| (attempt, false)));
        all.sort_by_key(|(attempt, _)| attempt.bucket.hash);
        transaction!(self, transaction => {
            for (attempt, clears) in &all {
                let statement = sqlx::query(if *clears { CLEAR } else { GIVE_BACK }).bind(&attempt.bucket.hash[..]);
                let statement = match clears {
                    true => statement,
                    false => statement
                        .bind(attempt.after.blocked_until.as_millis())
                        .bind(attempt.before.blocked_until.as_millis()),
                };
                statement.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    /// Records a failed attempt, which is already counted, and the waits that it caused.
    pub async fn record_failed_attempt(&self, audits: &[Audit<'_>]) -> Result<(), StoreError> {
        transaction!(self, transaction => {
            for audit in audits {
                append_audit!(transaction, audit);
            }
            transaction.commit().await?;
            Ok(())
        })
    }
}

fn blocked_until(failures: &Failures, now: Timestamp) -> Option<Timestamp> {
    failures.wait(now).map(|wait| now.plus(wait))
}

#[derive(FromRow)]
struct Row {
    failures: i64,
    blocked_until: i64,
    updated_at: i64,
}

impl From<Row> for Failures {
    fn from(row: Row) -> Self {
        Self {
            count: row.failures,
            blocked_until: Timestamp::from_millis(row.blocked_until),
            counted_at: Timestamp::from_millis(row.updated_at),
        }
    }
}
