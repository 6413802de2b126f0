//! The check value of the installation, which shows whether the keyring belongs to the database.

use crate::{
    domain::time::Timestamp,
    store::{
        Store, StoreError,
        database::{reading, writing},
        queries,
    },
};

impl Store {
    /// Sealed; `None` in a new database.
    pub async fn installation(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_scalar(queries::INSTALLATION).fetch_optional(pool).await?))
    }

    /// Stores the check value, unless there is one. True if it was stored; of several concurrent attempts,
    /// one succeeds.
    pub async fn set_installation_if_absent(&self, created_at: Timestamp, sealed: &[u8]) -> Result<bool, StoreError> {
        const INSERT: &str = "INSERT INTO installation (singleton, created_at, sealed) VALUES (1, $1, $2) ON CONFLICT DO NOTHING";
        let inserted = writing!(self, pool => sqlx::query(INSERT).bind(created_at.as_millis()).bind(sealed).execute(pool).await?.rows_affected());
        Ok(inserted == 1)
    }

    /// True if the keyring is needed to open anything in the database, including the check value.
    pub async fn holds_sealed_rows(&self) -> Result<bool, StoreError> {
        let found: i64 = reading!(self, pool => sqlx::query_scalar(queries::ANY_SEALED_ROW).fetch_one(pool).await?);
        Ok(found > 0)
    }
}
