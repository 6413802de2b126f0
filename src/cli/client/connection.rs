//! Which Keytile a command asks, and with which API key.

use std::{
    env,
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use zeroize::Zeroizing;

use super::{
    exit::{Exit, Failure},
    progress,
};
use crate::{
    client::{Client, ClientError, ServerAddress},
    domain::api_keys::ApiKeyText,
    upstream::read_ca_file,
};

/// The variable that can hold the API key. It has no flag: arguments can be read by everybody on a machine.
const KEY_VARIABLE: &str = "KEYTILE_KEY";
/// No file with a key in it is longer.
const FILE_MAX: u64 = 4_096;

/// What all commands have in common that ask a Keytile. The API key comes from the variable KEYTILE_KEY or from a file.
#[derive(Debug, Args)]
pub(in crate::cli) struct Connection {
    /// Keytile's address.
    #[arg(long, env = "KEYTILE_SERVER", value_name = "URL", default_value = "http://127.0.0.1:8440", global = true)]
    server: String,

    /// A file with the API key, readable only by its owner. Without it, the key comes from KEYTILE_KEY.
    #[arg(long, env = "KEYTILE_KEY_FILE", value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,

    /// A file with certificate authorities (PEM) to trust instead of the public ones.
    #[arg(long, env = "KEYTILE_CA", value_name = "FILE", global = true)]
    ca: Option<PathBuf>,

    /// Print the API's responses as JSON, and errors as JSON on standard error.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// A Keytile that can be asked.
pub(super) struct Session {
    client: Client,
    pub(super) json: bool,
}

impl Session {
    pub(super) fn new(connection: &Connection) -> Result<Self, Failure> {
        // Not read by clap, whose errors repeat what was typed: there may be a password in it.
        let server: ServerAddress = connection.server.parse().map_err(|reason| Failure::usage(format!("--server: {reason}")))?;
        let key = match &connection.key_file {
            Some(path) => key_of(path)?,
            None => key_of_environment()?,
        };
        let authorities = match &connection.ca {
            Some(path) => {
                let pem = std::fs::read(path)
                    .map_err(|error| Failure::usage(format!("--ca: {} cannot be read: {error}", path.display())))?;
                read_ca_file(&pem).map_err(|error| Failure::usage(format!("--ca: {}: {error}", path.display())))?
            }
            None => Vec::new(),
        };
        let client = Client::new(server.clone(), &key, &authorities).map_err(|error| Failure::of(&server, error))?;
        Ok(Self { client, json: connection.json })
    }

    /// The client, for a request that is given to [`Session::ask`].
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for what is asked, saying what it is when that takes long.
    pub(super) async fn ask<T>(&self, doing: &str, asked: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
        progress::during(doing, asked).await.map_err(|error| self.failure(error))
    }

    /// What an error means for the command.
    pub(super) fn failure(&self, error: ClientError) -> Failure {
        Failure::of(self.client.server(), error)
    }
}

fn key_of_environment() -> Result<ApiKeyText, Failure> {
    let missing = || {
        let sentence =
            "there is no API key: put it in the variable KEYTILE_KEY, or in a file with mode 0600 and pass that as --key-file";
        Failure::new(Exit::NotAllowed, sentence)
    };
    let text = Zeroizing::new(env::var(KEY_VARIABLE).map_err(|_| missing())?);
    ApiKeyText::parse(text.trim())
        .ok_or_else(|| Failure::new(Exit::NotAllowed, "KEYTILE_KEY: this is not a Keytile API key (kt_…)"))
}

/// The key in a file. Like a keyring, it is refused where others may read it: whoever can is as good as its owner.
fn key_of(path: &Path) -> Result<ApiKeyText, Failure> {
    let wrong = |reason: String| Failure::usage(format!("--key-file: {reason}"));
    let unreadable = |error| wrong(format!("{} cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that what is checked is what is read.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(wrong(format!("{} is not a file", path.display())));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(wrong(format!("others have access to {path} (mode {mode:04o}); run: chmod 600 {path}")));
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_MAX as usize + 1));
    file.take(FILE_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let parsed = ApiKeyText::parse(text.trim());
    parsed.ok_or_else(|| {
        Failure::new(Exit::NotAllowed, format!("--key-file: {} does not contain a Keytile API key (kt_…)", path.display()))
    })
}
