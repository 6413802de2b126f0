//! The Keytile that a command connects to, and the API key that it uses.

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

/// The variable that can contain the API key. It has no flag, because every user of the machine can read arguments.
const KEY_VARIABLE: &str = "KEYTILE_KEY";
/// The largest file with a key, in bytes.
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

/// A connection to a Keytile, with an API key.
pub(super) struct Session {
    client: Client,
    pub(super) json: bool,
}

impl Session {
    pub(super) fn new(connection: &Connection) -> Result<Self, Failure> {
        // Not parsed by clap, whose errors repeat the input, which may contain a password.
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

    /// The client, for requests to pass to [`Session::ask`].
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for a request, and says what it is doing if it takes long.
    pub(super) async fn ask<T>(&self, doing: &str, asked: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
        progress::during(doing, asked).await.map_err(|error| self.failure(error))
    }

    /// The failure of the command for an error of a request.
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

/// The key in a file. Like a keyring, it is refused if others may read it, because they could use the key.
fn key_of(path: &Path) -> Result<ApiKeyText, Failure> {
    let wrong = |reason: String| Failure::usage(format!("--key-file: {reason}"));
    let unreadable = |error| wrong(format!("{} cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    // Checked on the open file, so that the checked file is the one that is read.
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
