//! The check value: shows at startup whether the keyring is the one that sealed this database.
//!
//! It consists of 32 random bytes, sealed when the database was created. They are also the key of the fingerprints
//! that detect duplicates, so that a fingerprint reveals nothing to someone who only has the database.

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

/// Why a keyring and a database don't belong together.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The check value can't be opened.
    #[error("--keyring: this keyring does not match the database; use the keyring that sealed it ({0})")]
    WrongKeyring(OpenError),
    /// The check value has the wrong format.
    #[error("--database-url: the check value in the database is damaged; restore the database from a backup")]
    Damaged,
}

/// Opens the check value, or creates one in a new database.
pub(in crate::service) async fn check(store: &Store, keyring: &Keyring, now: Timestamp) -> Result<Fingerprint, InstallationError> {
    let place = Place::installation();
    if store.installation().await?.is_none() {
        let value = Zeroizing::new(random::bytes::<32>());
        // If two instances start with a new database at the same time, one wins, and both read its value.
        store.set_installation_if_absent(now, &keyring.seal_packed(&place, &*value)).await?;
    }
    let sealed = store.installation().await?.ok_or(InstallationError::Damaged)?;
    let value = keyring.open_packed(&place, &sealed).map_err(InstallationError::WrongKeyring)?;
    Fingerprint::from_key_bytes(&value).ok_or(InstallationError::Damaged)
}
