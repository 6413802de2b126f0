//! The check value: tells at the start whether the keyring is the one that sealed this database.
//!
//! It is 32 random bytes, sealed when the database was new. They are also the key of the fingerprints
//! that warn of duplicates, so that a fingerprint says nothing to somebody who has only the database.

use zeroize::Zeroizing;

use crate::{
    crypto::{
        envelope::{OpenError, Place},
        hash::Fingerprint,
        keyring::Keyring,
        random,
    },
    domain::time::Timestamp,
    store::{Store, StoreError},
};

/// Why a keyring and a database do not go together.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The database failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The check value does not open.
    #[error("--keyring: this keyring does not match the database; use the keyring that sealed it ({0})")]
    WrongKeyring(OpenError),
    /// The check value is not one.
    #[error("--database-url: the check value in the database is damaged; restore the database from a backup")]
    Damaged,
}

/// Opens the check value, or makes one in a database that has none.
pub(in crate::service) async fn check(store: &Store, keyring: &Keyring, now: Timestamp) -> Result<Fingerprint, InstallationError> {
    let place = Place::installation();
    if store.installation().await?.is_none() {
        let value = Zeroizing::new(random::bytes::<32>());
        // Of two instances that start at once over a new database one wins; both read what it wrote.
        store.set_installation_if_absent(now, &keyring.seal_packed(&place, &*value)).await?;
    }
    let sealed = store.installation().await?.ok_or(InstallationError::Damaged)?;
    let value = keyring.open_packed(&place, &sealed).map_err(InstallationError::WrongKeyring)?;
    Fingerprint::from_key_bytes(&value).ok_or(InstallationError::Damaged)
}
