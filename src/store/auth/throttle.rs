//! Failed sign-ins, counted in buckets. A bucket is a keyed hash of an account, an address or a browser, so that
//! the table tells nothing to who reads it.
//!
//! An attempt is counted as a failure before it is made, and given back when it was none: of many guesses that
//! come at once, no more are made than one after the other.

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
    /// Which one.
    pub hash: [u8; 32],
    /// How many failures are followed by no wait.
    pub free: i64,
}

/// An attempt that was counted in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedAttempt {
    /// The bucket.
    pub bucket: SignInBucket,
    /// What was counted before.
    pub before: Failures,
    /// What is counted with it.
    pub after: Failures,
}

/// What came of counting an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// It is counted in each bucket, in the order of the buckets, and may be made.
    Counted(Vec<CountedAttempt>),
    /// It may not be made before this, and was not counted.
    Blocked(Timestamp),
}

impl Store {
    /// Until when one of these buckets lets nothing through; `None` if all do. Writes nothing.
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

    /// Counts an attempt in every bucket, or in none if one of them lets nothing through.
    pub async fn count_attempt(&self, buckets: &[SignInBucket], now: Timestamp) -> Result<Reservation, StoreError> {
        // Stores a row where there is none, and in PostgreSQL locks the one that there is until the end.
        const FETCH: &str = "INSERT INTO sign_in_limits (bucket, failures, blocked_until, updated_at) VALUES ($1, 0, 0, $2)
            ON CONFLICT (bucket) DO UPDATE SET failures = sign_in_limits.failures
            RETURNING failures, blocked_until, updated_at";
        const COUNT: &str = "UPDATE sign_in_limits SET failures = $2, blocked_until = $3, updated_at = $4 WHERE bucket = $1";
        // Always in the same order, so that no two attempts wait for each other.
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

    /// Takes back what was counted for an attempt that did not fail. `cleared` buckets forget all their failures,
    /// `given_back` ones only this one.
    pub async fn uncount_attempt(&self, cleared: &[CountedAttempt], given_back: &[CountedAttempt]) -> Result<(), StoreError> {
        const CLEAR: &str = "DELETE FROM sign_in_limits WHERE bucket = $1";
        // A wait that this attempt brought about goes with it; one that a later attempt brought about stays.
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

    /// Records a failed attempt, which is counted already, and the waits that it brought about.
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
