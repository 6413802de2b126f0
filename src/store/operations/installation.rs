//! What there is once in a database: the check value that tells whether the keyring belongs to it.

use crate::{
    domain::time::Timestamp,
    store::{
        Store, StoreError,
        database::{reading, writing},
        queries,
    },
};

impl Store {
    /// The sealed check value; `None` in a database that has none yet.
    pub async fn installation(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_scalar(queries::INSTALLATION).fetch_optional(pool).await?))
    }

    /// Stores the check value, unless there is one. True if it was stored; of several that try at
    /// the same time, one gets it.
    pub async fn set_installation_if_absent(&self, created_at: Timestamp, sealed: &[u8]) -> Result<bool, StoreError> {
        const INSERT: &str = "INSERT INTO installation (singleton, created_at, sealed) VALUES (1, $1, $2) ON CONFLICT DO NOTHING";
        let inserted = writing!(self, pool => sqlx::query(INSERT).bind(created_at.as_millis()).bind(sealed).execute(pool).await?.rows_affected());
        Ok(inserted == 1)
    }

    /// True if anything in the database can only be opened with the keyring that sealed it, the check
    /// value included.
    pub async fn holds_sealed_rows(&self) -> Result<bool, StoreError> {
        let found: i64 = reading!(self, pool => sqlx::query_scalar(queries::ANY_SEALED_ROW).fetch_one(pool).await?);
        Ok(found > 0)
    }
}
