//! `keytile user`: manages users from the server. Works on the database, whether or not Keytile runs, and is
//! recorded in the audit trail as a command.
//!
//! A password is never an argument, because every user of the machine can read those.

use std::{
    io::{IsTerminal, Read, Write},
    net::SocketAddr,
    sync::Arc,
};

use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::prompt::ask_both;
use crate::{
    app::existing_service,
    config::{self, StorageConfig},
    domain::{
        credentials::form::FieldError,
        time::{SystemClock, Timestamp},
        users::{Role, User, UserState},
    },
    service::{
        Service,
        access::caller::Caller,
        users::{
            admin::{PersonAdded, PersonChanged, PersonState, RawPerson},
            password_links::{PasswordLink, PasswordReset, PasswordSet},
        },
    },
};

/// The longest password that is read, in bytes; passwords that can be chosen are shorter.
const PASSWORD_BYTES_MAX: u64 = 16 * 1024;

/// The settings of `keytile user`.
#[derive(Debug, Args)]
pub(super) struct UserArguments {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a person. Prints a link for choosing a password, which works once, within three days.
    Add {
        /// The email address that they sign in with.
        email: String,
        /// Their name.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Their role: administrator, editor, operator or viewer.
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        #[command(flatten)]
        password: PasswordArguments,
        #[command(flatten)]
        storage: StorageConfig,
    },
    /// List all people.
    List {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        storage: StorageConfig,
    },
    /// Disable a person. Their sessions end and their API keys stop working.
    Disable(PersonArguments),
    /// Enable a person who was disabled.
    Enable(PersonArguments),
    /// Remove a person's password and end their sessions. Prints a link for choosing a new one.
    ResetPassword {
        /// The person's email address.
        email: String,
        #[command(flatten)]
        password: PasswordArguments,
        #[command(flatten)]
        storage: StorageConfig,
    },
    /// Change a person's role. If it gives them more rights, their sessions end.
    SetRole {
        /// The person's email address.
        email: String,
        /// Their role: administrator, editor, operator or viewer.
        #[arg(value_parser = role)]
        role: Role,
        #[command(flatten)]
        storage: StorageConfig,
    },
}

/// One person.
#[derive(Debug, Args)]
struct PersonArguments {
    /// The person's email address.
    email: String,
    #[command(flatten)]
    storage: StorageConfig,
}

/// How a person comes to a password.
#[derive(Debug, Args)]
struct PasswordArguments {
    /// Read the password from standard input, or ask for it on a terminal, instead of creating a link.
    #[arg(long)]
    password_stdin: bool,

    /// The address and port that Keytile listens on, for the link.
    #[arg(long, env = "KEYTILE_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8440")]
    listen: SocketAddr,

    /// The address that people open, for the link, if it's not the listening address.
    #[arg(long, env = "KEYTILE_PUBLIC_URL", value_name = "URL", value_parser = config::public_url)]
    public_url: Option<Url>,
}

pub(super) async fn run(arguments: &UserArguments) -> Result<(), String> {
    let command = &arguments.command;
    // Asked for before anything is opened, so that no lock is held while someone types.
    let password = match command {
        UserCommand::Add { password, .. } | UserCommand::ResetPassword { password, .. } if password.password_stdin => {
            Some(read_password()?)
        }
        _ => None,
    };
    let service = existing_service(command.storage(), Arc::new(SystemClock)).await.map_err(words)?;
    let said = command.carry_out(&service, password.as_ref()).await;
    service.close().await;
    // The reader of the output may have gone; the command has been carried out anyway.
    let _ = std::io::stdout().write_all(said?.as_bytes());
    Ok(())
}

impl UserCommand {
    fn storage(&self) -> &StorageConfig {
        match self {
            Self::Add { storage, .. }
            | Self::List { storage, .. }
            | Self::ResetPassword { storage, .. }
            | Self::SetRole { storage, .. }
            | Self::Disable(PersonArguments { storage, .. })
            | Self::Enable(PersonArguments { storage, .. }) => storage,
        }
    }

    /// The command as the audit trail names it.
    fn caller(&self) -> Caller {
        Caller::server(match self {
            Self::Add { .. } => "keytile user add",
            Self::List { .. } => "keytile user list",
            Self::Disable(_) => "keytile user disable",
            Self::Enable(_) => "keytile user enable",
            Self::ResetPassword { .. } => "keytile user reset-password",
            Self::SetRole { .. } => "keytile user set-role",
        })
    }

    /// Runs the command, and returns the text to print.
    async fn carry_out(&self, service: &Service, typed: Option<&SecretString>) -> Result<String, String> {
        let caller = self.caller();
        match self {
            Self::Add { email, name, role, password, .. } => {
                let raw = RawPerson { email: email.clone(), name: name.clone(), role: role.as_str().to_owned() };
                match service.add_person(&caller, &raw, typed).await.map_err(words)? {
                    PersonAdded::Added { link, .. } => Ok(match link {
                        Some(link) => format!("{} was added. {}", email.trim(), told(&link, password)),
                        None => format!("{} was added with this password.\n", email.trim()),
                    }),
                    PersonAdded::Invalid(errors) => Err(listed(&errors)),
                    PersonAdded::Busy => Err(BUSY.into()),
                }
            }
            Self::List { json, .. } => {
                let people = everybody(service, &caller).await?;
                Ok(if *json { people.iter().map(as_json).collect() } else { table(&people) })
            }
            Self::Disable(PersonArguments { email, .. }) => {
                let person = find(service, &caller, email).await?;
                match service.disable_person(&caller, person.id).await.map_err(words)? {
                    PersonState::Done => Ok(format!("{} is disabled. All sessions ended.\n", person.email)),
                    PersonState::LastAdministrator => {
                        Err(format!("{} is the last active administrator. Make someone else an administrator first.", person.email))
                    }
                    PersonState::NotFound => Err(nobody(email)),
                }
            }
            Self::Enable(PersonArguments { email, .. }) => {
                let person = find(service, &caller, email).await?;
                match service.enable_person(&caller, person.id).await.map_err(words)? {
                    PersonState::Done | PersonState::LastAdministrator => Ok(format!("{} is enabled.\n", person.email)),
                    PersonState::NotFound => Err(nobody(email)),
                }
            }
            Self::ResetPassword { email, password, .. } => {
                let person = find(service, &caller, email).await?;
                reset_password(service, &caller, &person, password, typed).await
            }
            Self::SetRole { email, role, .. } => {
                let person = find(service, &caller, email).await?;
                match service.set_role(&caller, &person, role.as_str()).await.map_err(words)? {
                    PersonChanged::Changed { sessions_ended } => {
                        let ended = if sessions_ended { " All sessions ended." } else { "" };
                        Ok(format!("{} is now {}.{ended}\n", person.email, with_article(*role)))
                    }
                    PersonChanged::Invalid(errors) => Err(listed(&errors)),
                    PersonChanged::Outdated => Err(format!("{email} was changed at the same time. Try again.")),
                    PersonChanged::NotFound => Err(nobody(email)),
                }
            }
        }
    }
}

async fn reset_password(
    service: &Service,
    caller: &Caller,
    person: &User,
    arguments: &PasswordArguments,
    typed: Option<&SecretString>,
) -> Result<String, String> {
    let ended = "All sessions ended.";
    if let Some(typed) = typed {
        return match service.set_password_of(caller, person.id, typed).await.map_err(words)? {
            PasswordSet::Done => Ok(format!("{} has a new password. {ended}\n", person.email)),
            PasswordSet::Invalid(message) => Err(message),
            PasswordSet::Busy => Err(BUSY.into()),
            PasswordSet::NotFound => Err(nobody(&person.email)),
        };
    }
    match service.reset_password(caller, person.id).await.map_err(words)? {
        PasswordReset::Done(link) => {
            Ok(format!("The password of {} no longer works. {ended} {}", person.email, told(&link, arguments)))
        }
        PasswordReset::Disabled => Err(format!("{} is disabled. Enable them first.", person.email)),
        PasswordReset::NotFound => Err(nobody(&person.email)),
    }
}

const BUSY: &str = "Keytile is busy; try again";

async fn find(service: &Service, caller: &Caller, email: &str) -> Result<User, String> {
    service.person_of_email(caller, email).await.map_err(words)?.ok_or_else(|| nobody(email))
}

fn nobody(email: &str) -> String {
    format!("there is no one with the email address {email:?}; `keytile user list` shows everyone")
}

async fn everybody(service: &Service, caller: &Caller) -> Result<Vec<User>, String> {
    let mut people = Vec::new();
    let mut after = None;
    loop {
        let page = service.people(caller, "", after).await.map_err(words)?;
        people.extend(page.people);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(people),
        }
    }
}

fn told(link: &PasswordLink, arguments: &PasswordArguments) -> String {
    let address = link.address(&config::address(arguments.public_url.as_ref(), false, arguments.listen));
    format!("This link for choosing a password works once, until {}:\n{address}\n", time(link.expires_at))
}

fn table(people: &[User]) -> String {
    let head = ["EMAIL", "NAME", "ROLE", "STATUS", "TWO-STEP", "LAST SIGN-IN"].map(str::to_owned);
    let row = |user: &User| {
        [
            user.email.clone(),
            user.name.clone(),
            user.role.as_str().to_owned(),
            user.state.as_str().to_owned(),
            if user.has_second_factor { "on" } else { "off" }.to_owned(),
            user.signed_in_at.map_or_else(|| "never".to_owned(), time),
        ]
    };
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(people.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn as_json(user: &User) -> String {
    let object = json!({
        "id": user.id.to_string(),
        "email": user.email,
        "name": user.name,
        "role": user.role.as_str(),
        "active": user.state == UserState::Active,
        "password": user.has_password,
        "second_factor": user.has_second_factor,
        "created_at": time(user.created_at),
        "signed_in_at": user.signed_in_at.map(time),
    });
    format!("{object}\n")
}

/// A time in ISO 8601, in UTC, to the second.
fn time(at: Timestamp) -> String {
    let point = jiff::Timestamp::from_second(at.as_millis().div_euclid(1_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    point.to_string()
}

const fn with_article(role: Role) -> &'static str {
    match role {
        Role::Administrator => "an administrator",
        Role::Editor => "an editor",
        Role::Operator => "an operator",
        Role::Viewer => "a viewer",
    }
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| format!("expected one of {}", Role::ALL.map(Role::as_str).join(", ")))
}

fn listed(errors: &[FieldError]) -> String {
    errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join(" ")
}

/// An error with its causes.
fn words(error: impl std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.ends_with(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}

/// The password: one line of standard input, or typed twice on a terminal, without echo.
fn read_password() -> Result<SecretString, String> {
    let unreadable = |error: std::io::Error| format!("--password-stdin: cannot read the password: {error}");
    if std::io::stdin().is_terminal() {
        let (first, second) = match ask_both("Password: ", "Repeat password: ") {
            // As a shell has it for what Ctrl-C has ended. Nothing is open yet.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => std::process::exit(130),
            asked => asked.map_err(unreadable)?,
        };
        return if first == second { Ok(first.as_str().into()) } else { Err("the passwords don't match".into()) };
    }
    // Allocated in full, because a buffer that grows would leave copies of the password behind.
    let mut text = Zeroizing::new(String::with_capacity(PASSWORD_BYTES_MAX as usize));
    std::io::stdin().lock().take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(email: &str, signed_in_at: Option<Timestamp>) -> User {
        User {
            id: uuid::Uuid::nil(),
            email: email.into(),
            name: "Jürgen".into(),
            role: Role::Editor,
            state: UserState::Disabled,
            has_password: true,
            has_second_factor: false,
            created_at: Timestamp::from_millis(0),
            signed_in_at,
            version: 1,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_person() {
        let people = [person("j@example.com", None), person("longer@example.com", Some(Timestamp::from_millis(60_500)))];
        assert_eq!(
            table(&people),
            "EMAIL               NAME    ROLE    STATUS    TWO-STEP  LAST SIGN-IN\n\
             j@example.com       Jürgen  editor  disabled  off       never\n\
             longer@example.com  Jürgen  editor  disabled  off       1970-01-01T00:01:00Z\n"
        );
    }

    #[test]
    fn a_line_of_json_is_a_person() {
        let line = as_json(&person("j@example.com", None));
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["active"], &value["signed_in_at"]), (&json!(false), &json!(null)));
        assert_eq!((&value["role"], &value["created_at"]), (&json!("editor"), &json!("1970-01-01T00:00:00Z")));
    }
}
