//! The values of a new credential and where they come from: plain values from the command line, secrets from a
//! file, from standard input or from a prompt.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use secrecy::SecretString;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{exit::Failure, terminal, text::plain};

/// The largest body that the API accepts, in bytes. Longer than any field.
const SECRET_MAX: u64 = 256 * 1024;

/// Where values come from.
#[derive(Debug, Args)]
pub(super) struct ValueArguments {
    /// The value of a field that isn't secret, as FIELD=VALUE. Can be repeated.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,

    /// A file with the value of a field, as FIELD=FILE. A single line break at the end is ignored. Can be repeated.
    #[arg(long, value_name = "FIELD=FILE")]
    secret_file: Vec<String>,

    /// The field whose value to read from standard input. A single line break at the end is ignored.
    #[arg(long, value_name = "FIELD")]
    secret_stdin: Option<String>,
}

pub(super) struct Field {
    id: String,
    title: String,
    secret: bool,
    required: bool,
}

/// The JSON Schema with which a connector describes its fields.
#[derive(Deserialize)]
pub(super) struct FieldsSchema {
    properties: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    required: Vec<String>,
}

impl FieldsSchema {
    /// The fields, in the order of the form.
    pub(super) fn fields(&self) -> Vec<Field> {
        let field = |(id, schema): (&String, &serde_json::Value)| Field {
            title: schema["title"].as_str().map_or_else(|| plain(id), plain),
            secret: schema["writeOnly"].as_bool().unwrap_or_default(),
            required: self.required.contains(id),
            id: id.clone(),
        };
        self.properties.iter().map(field).collect()
    }
}

impl ValueArguments {
    /// All values. Everything that doesn't need a prompt is checked first.
    pub(super) async fn values(&self, fields: &[Field]) -> Result<BTreeMap<String, SecretString>, Failure> {
        let (set, files) = (assignments("--set", &self.set)?, assignments("--secret-file", &self.secret_file)?);
        self.check(fields, &set, &files)?;
        let mut values: BTreeMap<String, SecretString> = set.into_iter().map(|(field, value)| (field, value.into())).collect();
        for (field, path) in &files {
            let value =
                of_file(Path::new(path)).map_err(|reason| Failure::usage(format!("--secret-file {field}: {path} {reason}")))?;
            values.insert(field.clone(), value);
        }
        if let Some(field) = self.secret_stdin.clone() {
            let value = if terminal::is_there() {
                let title = fields.iter().find(|known| known.id == field).map_or(field.as_str(), |known| &known.title);
                terminal::secret(title).await?
            } else {
                let read = tokio::task::spawn_blocking(|| read(io::stdin().lock())).await;
                let read = read.map_err(io::Error::other).and_then(|read| read);
                read.map_err(|error| Failure::usage(format!("--secret-stdin {field}: cannot read standard input: {error}")))?
            };
            values.insert(field, value);
        }
        for field in fields.iter().filter(|field| field.secret && field.required) {
            if !values.contains_key(&field.id) {
                values.insert(field.id.clone(), terminal::secret(&field.title).await?);
            }
        }
        Ok(values)
    }

    /// Checks that every field is given once, in a permitted way.
    fn check(&self, fields: &[Field], set: &[(String, String)], files: &[(String, String)]) -> Result<(), Failure> {
        let set = set.iter().map(|(field, _)| ("--set", field));
        let files = files.iter().map(|(field, _)| ("--secret-file", field));
        let stdin = self.secret_stdin.iter().map(|field| ("--secret-stdin", field));
        let mut given: Vec<&str> = Vec::new();
        for (flag, name) in set.chain(files).chain(stdin) {
            let Some(field) = fields.iter().find(|field| field.id == *name) else {
                let known: Vec<&str> = fields.iter().map(|field| field.id.as_str()).collect();
                return Err(Failure::usage(format!(
                    "{flag}: there is no field {:?}; the fields are {}",
                    plain(name),
                    known.join(", ")
                )));
            };
            if field.secret && flag == "--set" {
                return Err(Failure::usage(format!(
                    "--set: {name} is a secret, and other users of this machine can often see arguments. If you leave it out, \
                     `keytile` asks for it. You can also use --secret-file {name}=FILE or --secret-stdin {name}. If you typed a \
                     real secret, replace it at the service: it may be in your shell's history."
                )));
            }
            if given.contains(&name.as_str()) {
                return Err(Failure::usage(format!("{flag}: {name} is set twice")));
            }
            given.push(name);
        }
        let absent = |field: &&Field| field.required && !given.contains(&field.id.as_str());
        let missing: Vec<String> = fields.iter().filter(absent).filter_map(Field::flag_where_missing).collect();
        if missing.is_empty() { Ok(()) } else { Err(Failure::usage(format!("missing: {}", missing.join("; ")))) }
    }
}

impl Field {
    /// The flag to use if there is no terminal to ask on.
    fn flag_where_missing(&self) -> Option<String> {
        let Self { id, title, .. } = self;
        match self.secret {
            true if terminal::is_there() => None,
            true => Some(format!("{title}: use --secret-file {id}=FILE or --secret-stdin {id}")),
            false => Some(format!("{title}: use --set {id}=VALUE")),
        }
    }
}

/// All values of a flag. Not parsed by clap, whose errors repeat the input, which may be a secret in the wrong
/// place.
fn assignments(flag: &str, typed: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let read = typed.iter().map(|typed| assignment(typed));
    read.collect::<Result<_, _>>().map_err(|reason| Failure::usage(format!("{flag}: {reason}")))
}

/// Parses `FIELD=VALUE`. The error doesn't repeat the input.
pub(super) fn assignment(typed: &str) -> Result<(String, String), String> {
    let parts = typed.split_once('=').filter(|(name, _)| !name.is_empty());
    parts.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "expected NAME=VALUE".to_owned())
}

/// The content of a file. The error is to be appended to the name of the file.
fn of_file(path: &Path) -> Result<SecretString, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(PathBuf::from(path)).map_err(cannot)?;
    read(file).map_err(cannot)
}

/// Everything that a reader returns, without a line break at the end.
fn read(reader: impl Read) -> io::Result<SecretString> {
    // Allocated in full, because a buffer that grows would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX as usize + 1));
    reader.take(SECRET_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SECRET_MAX {
        return Err(io::Error::other("it is larger than 256 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn one_line_break_is_no_part_of_a_secret() {
        for (text, secret) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a \n", " a "), ("", "")] {
            assert_eq!(read(text.as_bytes()).unwrap().expose_secret(), secret, "{text:?}");
        }
        assert!(read(&b"\xFF"[..]).is_err());
        assert!(read(io::repeat(b'a')).is_err());
        assert_eq!(read(io::repeat(b'a').take(SECRET_MAX)).unwrap().expose_secret().len() as u64, SECRET_MAX);
    }

    #[test]
    fn an_assignment_does_not_repeat_what_was_typed() {
        assert_eq!(assignment("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        for wrong in ["canary-1", "=canary-1"] {
            assert!(!assignment(wrong).unwrap_err().contains("canary"));
        }
    }
}
