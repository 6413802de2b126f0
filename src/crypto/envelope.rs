//! Sealing: a value is encrypted and bound to the place where it's stored.
//!
//! Each value gets its own data key (AES-256-GCM), and the active key of the keyring wraps the data key. Both
//! encryptions authenticate the [`Place`], so a value that is copied to another row, or restored from an
//! older version, doesn't open.

use std::fmt;

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{AeadInOut, KeyInit},
};
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{keyring::Keyring, random};
use crate::domain::{connectors::ConnectorId, credentials::CredentialId, resources::ResourceId, users::UserId};

/// In bytes (NIST SP 800-38D section 5.2.1.1).
const NONCE: usize = 12;
/// The authentication tag, in bytes.
const TAG: usize = 16;
/// A wrapped data key, in bytes: nonce, key, tag.
const WRAPPED: usize = NONCE + 32 + TAG;
/// The first byte of a packed value. Another layout must use another number.
const PACKED_FORMAT: u8 = 1;

/// Where a sealed value is stored: a table, a row, its version, and what the row belongs to. A value opens
/// only if all of them are unchanged. Someone who edits the database can't assign a row to another owner to
/// read its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    pub table: &'static str,
    pub row: Uuid,
    /// The version of the value in its row; increases when the value is replaced.
    pub version: i64,
    /// What the row belongs to, as its columns say; empty if it belongs to nothing else.
    pub within: [&'a [u8]; 2],
}

impl<'a> Place<'a> {
    /// The check value of the installation. There is only one.
    pub const fn installation() -> Self {
        Self { table: "installation", row: Uuid::nil(), version: 1, within: [&[], &[]] }
    }

    /// A credential's field values. Bound to the connector, because another one would send them to other
    /// hosts.
    pub fn credential_secret(credential: CredentialId, version: i64, connector: &'a ConnectorId) -> Self {
        Self { table: "credential_secrets", row: credential, version, within: [connector.as_str().as_bytes(), &[]] }
    }

    /// The TOTP secret of a user.
    pub const fn second_factor(user: UserId) -> Self {
        Self { table: "users", row: user, version: 1, within: [&[], &[]] }
    }

    /// A TOTP secret that is being set up in this session. The page that shows it keeps it, not a table.
    pub fn second_factor_offer(user: UserId, session: &'a Uuid) -> Self {
        Self { table: "second_factor_offers", row: user, version: 1, within: [session.as_bytes(), &[]] }
    }

    /// What this user has typed into the credential form of this connector.
    pub fn draft(draft: Uuid, version: i64, owner: &'a Uuid, connector: &'a ConnectorId) -> Self {
        Self { table: "drafts", row: draft, version, within: [owner.as_bytes(), connector.as_str().as_bytes()] }
    }

    /// A resource's endpoint. Bound to the connector, because another one would call another service.
    pub fn resource_endpoint(resource: ResourceId, endpoint_version: i64, connector: &'a ConnectorId) -> Self {
        Self { table: "resources", row: resource, version: endpoint_version, within: [connector.as_str().as_bytes(), &[]] }
    }

    /// The result of a verification of this credential. It never changes.
    pub fn verification(verification: Uuid, credential: &'a CredentialId) -> Self {
        Self { table: "verifications", row: verification, version: 1, within: [credential.as_bytes(), &[]] }
    }

    pub const fn access_token(credential: CredentialId, version: i64) -> Self {
        Self { table: "access_tokens", row: credential, version, within: [&[], &[]] }
    }

    /// Why the service issued no access token for a credential.
    pub const fn token_failure(credential: CredentialId, version: i64) -> Self {
        Self { table: "token_fetches", row: credential, version, within: [&[], &[]] }
    }

    /// A sign-in in progress at a single sign-on provider. The browser keeps it, so it has no row.
    pub const fn pending_sign_in() -> Self {
        Self { table: "pending_sign_ins", row: Uuid::nil(), version: 1, within: [&[], &[]] }
    }

    /// The associated data for one of the two encryptions. Everything of variable length is preceded by its
    /// length, so that different places, purposes and keys never have the same encoding.
    fn associated_data(&self, purpose: Purpose<'_>) -> Vec<u8> {
        let (tag, key_id): (&[u8], &str) = match purpose {
            Purpose::Value => (b"keytile value 1", ""),
            Purpose::DataKey { key_id } => (b"keytile data key 1", key_id),
        };
        let mut data = Vec::with_capacity(192 + key_id.len());
        for part in [tag, key_id.as_bytes(), self.table.as_bytes(), self.within[0], self.within[1]] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data.extend_from_slice(self.row.as_bytes());
        data.extend_from_slice(&self.version.to_be_bytes());
        data
    }
}

/// Which of the two encryptions is meant. A ciphertext of one never passes for the other.
#[derive(Clone, Copy)]
enum Purpose<'a> {
    Value,
    DataKey { key_id: &'a str },
}

/// A sealed value. It may be stored anywhere, but opens only in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key of the keyring that wraps the data key.
    pub key_id: String,
    /// Nonce, wrapped data key, tag.
    pub wrapped_key: Vec<u8>,
    /// Nonce, encrypted value, tag.
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// Packs the value into one column: format (1 byte), length of the key id (1), key id, wrapped key (60),
    /// ciphertext.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.key_id.len() + self.wrapped_key.len() + self.ciphertext.len());
        bytes.push(PACKED_FORMAT);
        // The keyring accepts no longer id; see `keyring::KEY_ID_MAX`.
        bytes.push(self.key_id.len() as u8);
        bytes.extend_from_slice(self.key_id.as_bytes());
        bytes.extend_from_slice(&self.wrapped_key);
        bytes.extend_from_slice(&self.ciphertext);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [PACKED_FORMAT, key_id_length, rest @ ..] = bytes else { return None };
        let (key_id, rest) = rest.split_at_checked(usize::from(*key_id_length))?;
        let (wrapped_key, ciphertext) = rest.split_at_checked(WRAPPED)?;
        let key_id = std::str::from_utf8(key_id).ok()?.to_owned();
        Some(Self { key_id, wrapped_key: wrapped_key.to_vec(), ciphertext: ciphertext.to_vec() })
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("key_id", &self.key_id).field("bytes", &self.ciphertext.len()).finish_non_exhaustive()
    }
}

/// Why a sealed value doesn't open. Reveals nothing about its content.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    #[error("the value is sealed with the key `{id}`, which is not in the keyring")]
    UnknownKey {
        /// The id that is stored with the value.
        id: String,
    },
    /// The key is wrong, the value was changed, or it's from another place.
    #[error("the sealed value was changed, belongs to another row, or is sealed with another key")]
    Refused,
}

impl Keyring {
    /// Seals a value for its place, under the active key.
    ///
    /// # Panics
    ///
    /// If the value is larger than AES-GCM allows, 64 GiB.
    pub fn seal(&self, place: &Place<'_>, value: &[u8]) -> Sealed {
        let (key_id, wrapping) = self.active();
        let data_key = Zeroizing::new(random::bytes::<32>());
        let cipher = Aes256Gcm::new((&*data_key).into());
        Sealed {
            key_id: key_id.to_owned(),
            wrapped_key: encrypt(wrapping, &place.associated_data(Purpose::DataKey { key_id }), &*data_key),
            ciphertext: encrypt(&cipher, &place.associated_data(Purpose::Value), value),
        }
    }

    /// Opens a value that was sealed for this place. The returned buffer is wiped when dropped.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key_id = sealed.key_id.as_str();
        let wrapping = self.key(key_id).ok_or_else(|| OpenError::UnknownKey { id: key_id.to_owned() })?;
        let data_key = decrypt(wrapping, &place.associated_data(Purpose::DataKey { key_id }), &sealed.wrapped_key)?;
        let cipher = Aes256Gcm::new_from_slice(&data_key).map_err(|_| OpenError::Refused)?;
        decrypt(&cipher, &place.associated_data(Purpose::Value), &sealed.ciphertext)
    }

    /// [`Self::seal`] for a table that keeps the value in one column.
    pub fn seal_packed(&self, place: &Place<'_>, value: &[u8]) -> Vec<u8> {
        self.seal(place, value).to_bytes()
    }

    /// [`Self::open`] for a table that keeps the value in one column.
    pub fn open_packed(&self, place: &Place<'_>, packed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.open(place, &Sealed::from_bytes(packed).ok_or(OpenError::Refused)?)
    }
}

/// Encrypts under a random nonce. Returns nonce, ciphertext and tag.
fn encrypt(cipher: &Aes256Gcm, associated_data: &[u8], value: &[u8]) -> Vec<u8> {
    let nonce = random::bytes::<NONCE>();
    let mut out = Vec::with_capacity(NONCE + value.len() + TAG);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(value);
    let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), associated_data, (&mut out[NONCE..]).into());
    match tag {
        Ok(tag) => out.extend_from_slice(&tag),
        // The limit of AES-GCM. Parsing limits what is sealed to some kilobytes.
        Err(_) => panic!("a value of more than 64 GiB cannot be sealed"),
    }
    out
}

/// Decrypts what [`encrypt`] returned.
fn decrypt(cipher: &Aes256Gcm, associated_data: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (nonce, rest) = bytes.split_first_chunk::<NONCE>().ok_or(OpenError::Refused)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(OpenError::Refused)?;
    let mut value = Zeroizing::new(ciphertext.to_vec());
    cipher
        .decrypt_inout_detached(nonce.into(), associated_data, value.as_mut_slice().into(), tag.into())
        .map_err(|_| OpenError::Refused)?;
    Ok(value)
}

#[cfg(test)]
mod tests;
