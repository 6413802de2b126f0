//! The keyring: the key-encryption keys, each with an id. The active key seals; every key can open.
//!
//! It's a small TOML file of mode 0600, or the same text in an environment variable. The keys have no
//! `Debug`, `Display` or `Serialize`, and no error repeats a line of the file.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aes_gcm::{Aes256Gcm, aead::KeyInit};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;
use zeroize::Zeroizing;

use super::random;

/// In bytes. The id is stored with every sealed value.
pub const KEY_ID_MAX: usize = 32;
/// The most bytes that are read from a keyring file.
const FILE_MAX: u64 = 64 * 1024;

/// Keys that are ready for use: the AES key schedules are computed once, here.
pub struct Keyring {
    active: String,
    keys: BTreeMap<String, Aes256Gcm>,
}

impl Keyring {
    /// Creates a keyring with one random key and writes it to a new file of mode 0600. Returns once the file
    /// and its directory entry are on disk.
    ///
    /// The file is written completely under a temporary name in the same folder and then linked to the path.
    /// Other processes see either no file or a complete one, even after a crash. A crash can leave the
    /// temporary file behind, which does no harm.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Exists`] if there is anything at the path: a keyring is never overwritten. If several
    /// processes create it at the same time, one succeeds, and the others may load its file.
    pub fn create(path: &Path) -> Result<Self, KeyringError> {
        let text = new_text();
        let keyring = Self::parse(&text)?;
        let failed = |source| KeyringError::Unwritable { path: path.to_owned(), source };
        let Some(name) = path.file_name() else { return Err(failed(io::ErrorKind::InvalidInput.into())) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let random_end: String = random::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let unfinished = folder.join(format!(".{}.{random_end}.new", name.to_string_lossy()));
        let written = write_private(&unfinished, &text).map_err(failed);
        // Unlike a rename, a link replaces nothing, and doesn't follow a symbolic link at the path.
        let linked = written.and_then(|()| {
            fs::hard_link(&unfinished, path).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => KeyringError::Exists { path: path.to_owned() },
                _ => failed(source),
            })
        });
        // Ignoring an error is safe: nothing is sealed under the temporary file's key unless the file is also
        // at the path.
        let _ = fs::remove_file(&unfinished);
        if matches!(linked, Ok(()) | Err(KeyringError::Exists { .. })) {
            // Also if another process was faster: loading that file relies on it staying there after a crash.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        linked.map(|()| keyring)
    }

    /// Reads a keyring file.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Missing`] if there is none; [`KeyringError::Exposed`] if anyone but its owner may read
    /// or write it; otherwise what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        let unreadable = |source| KeyringError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyringError::Missing { path: path.to_owned() },
            _ => unreadable(source),
        })?;
        // Taken from the open file, so that the file that is checked is the file that is read.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(KeyringError::NoFile { path: path.to_owned() });
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyringError::Exposed { path: path.to_owned(), mode });
        }
        // The full capacity up front: a buffer that grows would leave copies in memory.
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len().min(FILE_MAX)).unwrap_or(0) + 1));
        file.take(FILE_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&SecretString::from(text.as_str()))
    }

    /// The text is the same in a file and in an environment variable.
    pub fn parse(text: &SecretString) -> Result<Self, KeyringError> {
        let text = text.expose_secret();
        let KeyringText { active, keys } = toml::from_str(text).map_err(|error| {
            // Use only the position of this error: its message and excerpt may contain a key.
            let before = error.span().and_then(|span| text.get(..span.start));
            KeyringError::Malformed { line: before.map(|before| before.matches('\n').count() + 1) }
        })?;
        let well_formed = |id: &str| {
            (1..=KEY_ID_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if !keys.keys().all(|id| well_formed(id)) {
            return Err(KeyringError::KeyId);
        }
        if !keys.contains_key(&active) {
            return Err(KeyringError::NoActiveKey);
        }
        let keys = keys.into_iter().map(|(id, key)| (id, Aes256Gcm::new((&*key.0).into()))).collect();
        Ok(Self { active, keys })
    }

    /// A keyring with one random key that is stored nowhere.
    pub fn generate() -> Self {
        let key = Zeroizing::new(random::bytes::<32>());
        Self { active: "k1".into(), keys: BTreeMap::from([("k1".into(), Aes256Gcm::new((&*key).into()))]) }
    }

    pub(super) fn active(&self) -> (&str, &Aes256Gcm) {
        // `parse` and `generate` make sure that the active key is among the keys.
        (&self.active, &self.keys[&self.active])
    }

    pub(super) fn key(&self, id: &str) -> Option<&Aes256Gcm> {
        self.keys.get(id)
    }
}

/// Why there is no keyring. Every message names the setting, and none repeats the content of the file.
#[derive(Debug, Error)]
pub enum KeyringError {
    #[error("--keyring: there is no keyring at {}", path.display())]
    Missing { path: PathBuf },
    #[error("--keyring: {} already exists, and Keytile never overwrites a keyring", path.display())]
    Exists { path: PathBuf },
    /// Someone other than the owner may read or write the file.
    #[error("--keyring: others have access to {} (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        path: PathBuf,
        /// The file's permission bits.
        mode: u32,
    },
    /// The path is a folder, a socket or the like.
    #[error("--keyring: {} is not a file", path.display())]
    NoFile { path: PathBuf },
    #[error("--keyring: cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("--keyring: cannot write {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("--keyring: {}; expected `active = \"ID\"`, then `[keys]` with a line `ID = \"32 bytes in base64\"` for each key", wrong_at(*line))]
    Malformed {
        /// Counted from 1; `None` if unknown.
        line: Option<usize>,
    },
    /// The id of a key can't be stored with a sealed value.
    #[error("--keyring: a key's id must have 1 to {KEY_ID_MAX} letters, digits, `-`, `_` or `.`")]
    KeyId,
    #[error("--keyring: `active` names a key that is not listed under `[keys]`")]
    NoActiveKey,
}

fn wrong_at(line: Option<usize>) -> String {
    line.map_or_else(|| "this is not a keyring".into(), |line| format!("line {line} is wrong"))
}

/// Creates a file of mode 0600 and returns once its content is on disk.
fn write_private(path: &Path, text: &SecretString) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.sync_all()
}

/// The text of a new keyring with one random key.
fn new_text() -> SecretString {
    let key = Zeroizing::new(random::bytes::<32>());
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(*key));
    let mut text = Zeroizing::new(String::with_capacity(512));
    for part in [
        "# Keytile's keyring. Anyone with this file can decrypt the values in the database; without it, no one can.\n",
        "# Keep a backup in a safe place, separate from backups of the database.\n",
        "active = \"k1\"\n\n[keys]\nk1 = \"",
        &encoded,
        "\"\n",
    ] {
        text.push_str(part);
    }
    SecretString::from(text.as_str())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringText {
    active: String,
    keys: BTreeMap<String, KeyBytes>,
}

/// The bytes of a key on their way from the text into a cipher.
struct KeyBytes(Zeroizing<[u8; 32]>);

impl<'de> Deserialize<'de> for KeyBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;

        impl de::Visitor<'_> for Base64 {
            type Value = KeyBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 bytes in base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<KeyBytes, E> {
                // The decoder wants room for 36 bytes to decode 44 characters.
                let mut room = Zeroizing::new([0; 36]);
                let length = BASE64_STANDARD.decode_slice(text, &mut *room).map_err(|_| E::custom("not base64"))?;
                let key: Result<[u8; 32], _> = room[..length].try_into();
                key.map(|key| KeyBytes(Zeroizing::new(key))).map_err(|_| E::custom("not 32 bytes"))
            }
        }

        deserializer.deserialize_str(Base64)
    }
}

#[cfg(test)]
mod tests;
