//! The keyring: the key-encryption keys, each with an id. One is active and seals; every one opens.
//!
//! It is a small TOML file of mode 0600, or the same text in a variable. The keys have no `Debug`,
//! `Display` or `Serialize`, and no error repeats a line of the file.

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

/// The most characters that the id of a key may have. It is stored with every sealed value.
pub const KEY_ID_MAX: usize = 32;
/// The largest file that is read as a keyring.
const FILE_MAX: u64 = 64 * 1024;

/// The keys, ready for use: AES's key schedules are made once, here.
pub struct Keyring {
    active: String,
    keys: BTreeMap<String, Aes256Gcm>,
}

impl Keyring {
    /// Makes a keyring of one random key and writes it to a new file of mode 0600. Returns when the
    /// file and its entry in the folder are on the disk.
    ///
    /// The file is written whole under another name beside the path and then linked to the path, so
    /// that whoever looks there sees no file or a complete one, even after a crash. What a crash can
    /// leave behind is the other name; it stands in nobody's way.
    ///
    /// # Errors
    /// [`KeyringError::Exists`] if there is anything at the path: a keyring is never overwritten. Of
    /// several that create it at the same moment, one does, and the others may load what it made.
    pub fn create(path: &Path) -> Result<Self, KeyringError> {
        let text = new_text();
        let keyring = Self::parse(&text)?;
        let failed = |source| KeyringError::Unwritable { path: path.to_owned(), source };
        let Some(name) = path.file_name() else { return Err(failed(io::ErrorKind::InvalidInput.into())) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let random_end: String = random::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let unfinished = folder.join(format!(".{}.{random_end}.new", name.to_string_lossy()));
        let written = write_private(&unfinished, &text).map_err(failed);
        // Unlike a rename, a link replaces nothing, and follows no symbolic link at its end.
        let linked = written.and_then(|()| {
            fs::hard_link(&unfinished, path).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => KeyringError::Exists { path: path.to_owned() },
                _ => failed(source),
            })
        });
        // The name has served its turn. Nothing is sealed under what it holds, unless it is at the path.
        let _ = fs::remove_file(&unfinished);
        if matches!(linked, Ok(()) | Err(KeyringError::Exists { .. })) {
            // Also where another was faster: whoever loads that file next relies on it being there for good.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        linked.map(|()| keyring)
    }

    /// Reads a keyring file.
    ///
    /// # Errors
    /// [`KeyringError::Missing`] if there is none; [`KeyringError::Exposed`] if anybody but its owner
    /// may read or write it; otherwise what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        let unreadable = |source| KeyringError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyringError::Missing { path: path.to_owned() },
            _ => unreadable(source),
        })?;
        // Asked of the open file, so that what is checked is what is read.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(KeyringError::NoFile { path: path.to_owned() });
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyringError::Exposed { path: path.to_owned(), mode });
        }
        // Room for all of it at once: a buffer that grows would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len().min(FILE_MAX)).unwrap_or(0) + 1));
        file.take(FILE_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&SecretString::from(text.as_str()))
    }

    /// Reads the text of a keyring, as it stands in the file or in a variable.
    pub fn parse(text: &SecretString) -> Result<Self, KeyringError> {
        let text = text.expose_secret();
        let KeyringText { active, keys } = toml::from_str(text).map_err(|error| {
            // Only the place is taken from this error: its words and its excerpt may hold a key.
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

    /// A keyring of one random key that is kept nowhere.
    pub fn generate() -> Self {
        let key = Zeroizing::new(random::bytes::<32>());
        Self { active: "k1".into(), keys: BTreeMap::from([("k1".into(), Aes256Gcm::new((&*key).into()))]) }
    }

    /// The active key and its id.
    pub(super) fn active(&self) -> (&str, &Aes256Gcm) {
        // `parse` and `generate` see to it that the active key is among the keys.
        (&self.active, &self.keys[&self.active])
    }

    /// The key of this id.
    pub(super) fn key(&self, id: &str) -> Option<&Aes256Gcm> {
        self.keys.get(id)
    }
}

/// Why there is no keyring. Every sentence names the setting, and none repeats what the file holds.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// There is no file at the path.
    #[error("--keyring: there is no keyring at {}", path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// There is something at the path already.
    #[error("--keyring: {} already exists, and Keytile never overwrites a keyring", path.display())]
    Exists {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Others than the owner may read or write the file.
    #[error("--keyring: others have access to {} (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The path that was asked for.
        path: PathBuf,
        /// The file's permission bits.
        mode: u32,
    },
    /// The path is a folder, a socket or the like.
    #[error("--keyring: {} is not a file", path.display())]
    NoFile {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The system refuses to read the file.
    #[error("--keyring: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The path that was asked for.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses to write the file.
    #[error("--keyring: cannot write {}: {source}", path.display())]
    Unwritable {
        /// The path that was asked for.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The text is not a keyring.
    #[error("--keyring: {}; expected `active = \"ID\"`, then `[keys]` with a line `ID = \"32 bytes in base64\"` for each key", wrong_at(*line))]
    Malformed {
        /// The line at fault, counted from 1, where it is known.
        line: Option<usize>,
    },
    /// An id that cannot be stored with a sealed value.
    #[error("--keyring: a key's id must have 1 to {KEY_ID_MAX} letters, digits, `-`, `_` or `.`")]
    KeyId,
    /// The active key is not among the keys.
    #[error("--keyring: `active` names a key that is not listed under `[keys]`")]
    NoActiveKey,
}

fn wrong_at(line: Option<usize>) -> String {
    line.map_or_else(|| "this is not a keyring".into(), |line| format!("line {line} is wrong"))
}

/// Writes a new file that only its owner may read, and waits until it is on the disk.
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
                // Enough for what the decoder wants to have for 44 characters.
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
