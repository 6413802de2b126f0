//! The access epoch: a number that grows with every change of who may do what. An instance may remember what
//! it read of sessions, keys and roles for as long as the number stays the same.

use crate::store::{Store, StoreError, database::reading, queries};

/// Says within a transaction that who may do what has changed.
///
/// It locks one row until the transaction ends, and so do the rows of accounts and sessions that the transaction
/// changes. So that transactions do not wait for each other in a circle, they are changed in this order: accounts,
/// sessions, what else there is, the epoch, the head of the audit trail.
macro_rules! bump_access_epoch {
    ($transaction:expr) => {
        sqlx::query("UPDATE access_epoch SET value = value + 1 WHERE singleton = 1").execute(&mut *$transaction).await?
    };
}
pub(in crate::store) use bump_access_epoch;

impl Store {
    /// The present access epoch.
    pub async fn access_epoch(&self) -> Result<i64, StoreError> {
        Ok(reading!(self, pool => sqlx::query_scalar(queries::ACCESS_EPOCH).fetch_one(pool).await?))
    }
}
