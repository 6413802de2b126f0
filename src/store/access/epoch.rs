//! The access epoch: a number that increases with every change of permissions. An instance may cache what it
//! read about sessions, keys and roles for as long as the number stays the same.

use crate::store::{Store, StoreError, database::reading, queries};

/// Records in a transaction that permissions have changed.
///
/// It locks one row until the transaction ends, and so do the rows of users and sessions that the transaction
/// changes. To avoid deadlocks, change rows in this order: users, sessions, everything else, the epoch, the
/// head of the audit trail.
macro_rules! bump_access_epoch {
    ($transaction:expr) => {
        sqlx::query("UPDATE access_epoch SET value = value + 1 WHERE singleton = 1").execute(&mut *$transaction).await?
    };
}
pub(in crate::store) use bump_access_epoch;

impl Store {
    pub async fn access_epoch(&self) -> Result<i64, StoreError> {
        Ok(reading!(self, pool => sqlx::query_scalar(queries::ACCESS_EPOCH).fetch_one(pool).await?))
    }
}
