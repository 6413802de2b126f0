//! `keytile credentials`: credentials over the API. No command shows a secret, because the API returns none.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    add_credential::{self, AddArguments, connector_name},
    connection::{Connection, Session},
    exit::{Exit, Failure, details, text},
    find::{self, Thing},
    output::{print, print_json, print_pairs, print_table},
    terminal,
    text::{complain, plain},
};

/// The settings of `keytile credentials`.
#[derive(Debug, Args)]
pub(crate) struct CredentialsArguments {
    #[command(subcommand)]
    command: CredentialsCommand,

    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Debug, Subcommand)]
enum CredentialsCommand {
    /// Verify values with their service and save them if they work. Prints the new credential's id.
    ///
    /// Never pass a secret as an argument. If you leave it out, `keytile` asks for it. You can also use --secret-file
    /// or --secret-stdin.
    Add(Box<AddArguments>),
    /// List the credentials that the API key can use, newest first.
    #[command(visible_alias = "ls")]
    List {
        /// Only credentials of this connector.
        #[arg(long, value_name = "CONNECTOR")]
        connector: Option<String>,
        /// Only credentials with this text in their name or description.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Verify a credential's stored values with its service.
    Test(Called),
    /// Show a credential, without its secrets.
    Show(Called),
    /// Delete a credential that no source or destination uses.
    Rm {
        #[command(flatten)]
        called: Called,
        /// Don't ask for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
}

/// One credential.
#[derive(Debug, Args)]
struct Called {
    /// Its id, or its name if the name is unique.
    #[arg(value_name = "CREDENTIAL")]
    credential: String,
}

/// A credential in an API response.
#[derive(Deserialize)]
struct Credential {
    id: Uuid,
    connector: String,
    name: String,
    description: String,
    account: Option<String>,
    usable: bool,
    status: String,
    verified_at: String,
    created_at: String,
    used_by: u64,
    sharing: String,
    owner: Option<Owner>,
    fields: std::collections::BTreeMap<String, String>,
    secrets: Vec<String>,
}

#[derive(Deserialize)]
struct Owner {
    name: String,
    email: String,
}

#[derive(Deserialize)]
struct Verification {
    passed: bool,
    status: String,
    failure: Option<Value>,
    notice: Option<Value>,
}

pub(super) async fn run(arguments: &CredentialsArguments) -> Result<(), Failure> {
    let session = Session::new(&arguments.connection)?;
    match &arguments.command {
        CredentialsCommand::Add(add) => add_credential::run(&session, add).await,
        CredentialsCommand::List { connector, search } => list(&session, connector.as_deref(), search.as_deref()).await,
        CredentialsCommand::Test(called) => test(&session, &called.credential).await,
        CredentialsCommand::Show(called) => show(&session, &called.credential).await,
        CredentialsCommand::Rm { called, yes } => remove(&session, &called.credential, *yes).await,
    }
}

async fn list(session: &Session, connector: Option<&str>, search: Option<&str>) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> =
        connector.map(|id| ("connector", id)).into_iter().chain(search.map(|text| ("search", text))).collect();
    let items = session.ask("Listing credentials", session.client().all("credentials", &query)).await?;
    if session.json {
        return print_json(json!({ "items": items, "next_cursor": null }).to_string().as_bytes());
    }
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let found: Credential = known(item)?;
        let status = if found.usable { found.status.as_str() } else { "unusable" };
        let account = found.account.unwrap_or_default();
        rows.push([&found.id.to_string(), status, &found.connector, &found.name, &account].map(plain));
    }
    print_table(["ID", "STATUS", "CONNECTOR", "NAME", "ACCOUNT"], [false, false, true, true, true], &rows)
}

async fn show(session: &Session, called: &str) -> Result<(), Failure> {
    let id = find::id(session, Thing::Credential, called).await?;
    let answer = session.ask("Reading the credential", session.client().get(&format!("credentials/{id}"), &[])).await?;
    if session.json {
        return print_json(&answer.text);
    }
    let found: Credential = answer.read().map_err(|error| session.failure(error))?;
    let mut pairs = vec![
        ("Name", plain(&found.name)),
        ("Id", found.id.to_string()),
        ("Connector", plain(&found.connector)),
        ("Account", plain(found.account.as_deref().unwrap_or_default())),
        ("Description", plain(&found.description)),
        ("Status", format!("{}, {}", plain(&found.status), plain(&found.verified_at))),
        ("Created", plain(&found.created_at)),
        ("Used by", format!("{} sources and destinations", found.used_by)),
        ("Access", open_to(&found.sharing)),
    ];
    if let Some(owner) = &found.owner {
        pairs.push(("Owner", format!("{} <{}>", plain(&owner.name), plain(&owner.email))));
    }
    if !found.usable {
        pairs.push(("Problem", "its stored values can't be opened; ask your Keytile administrator to check it".into()));
    }
    pairs.retain(|(_, value)| !value.is_empty());
    let fields: Vec<(&String, String)> = found.fields.iter().map(|(field, value)| (field, plain(value))).collect();
    let secrets = found.secrets.iter().map(|field| (field, "(secret)".to_owned()));
    pairs.extend(fields.into_iter().chain(secrets).map(|(field, value)| (field.as_str(), value)));
    print_pairs(&pairs)
}

/// Who may use it, in words. A word that this version doesn't know is shown as it is.
fn open_to(sharing: &str) -> String {
    match sharing {
        "private" => "its owner and people it's shared with".to_owned(),
        "everyone" => "everyone with an account".to_owned(),
        other => plain(other),
    }
}

async fn test(session: &Session, called: &str) -> Result<(), Failure> {
    let id = find::id(session, Thing::Credential, called).await?;
    let read = session.ask("Reading the credential", session.client().get(&format!("credentials/{id}"), &[])).await?;
    let credential: Credential = read.read().map_err(|error| session.failure(error))?;
    let doing = format!("Verifying with {}", connector_name(session, &credential.connector).await);
    let answer = session.ask(&doing, session.client().post(&format!("credentials/{id}/test"), Vec::new())).await?;
    let found: Verification = answer.read().map_err(|error| session.failure(error))?;
    // The status tells who has to act: someone with the values, or the service.
    let exit = if found.status == "unreachable" { Exit::Unavailable } else { Exit::NotVerified };
    if session.json {
        print_json(&answer.text)?;
        return if found.passed { Ok(()) } else { Err(Failure::silent(exit)) };
    }
    if let Some(failure) = found.failure.filter(|_| !found.passed) {
        return Err(Failure::new(exit, format!("{}\n{}", text(&failure, "summary"), details(&failure))));
    }
    if !found.passed {
        return Err(Failure::new(exit, "the verification failed"));
    }
    if let Some(notice) = &found.notice {
        complain(&format!("{}\n{}", text(notice, "summary"), details(notice)));
    }
    print(format!("“{}” works.\n", plain(&credential.name)).as_bytes())
}

async fn remove(session: &Session, called: &str, yes: bool) -> Result<(), Failure> {
    let id = find::id(session, Thing::Credential, called).await?;
    let path = format!("credentials/{id}");
    let answer = session.ask("Reading the credential", session.client().get(&path, &[])).await?;
    let found: Credential = answer.read().map_err(|error| session.failure(error))?;
    let what = format!("the credential “{}” ({}, {id})", plain(&found.name), plain(&found.connector));
    confirm(yes, &what).await?;
    // The `ETag` makes sure that what the user confirmed is what is deleted.
    session.ask("Deleting the credential", session.client().delete(&path, answer.etag.as_ref())).await?;
    if !session.json {
        complain(&format!("Deleted {what}."));
    }
    Ok(())
}

/// Asks for confirmation, unless `yes` is true. An error if the user refuses.
pub(super) async fn confirm(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !terminal::is_there() {
        return Err(Failure::usage("standard input is not a terminal, so `keytile` can't ask for confirmation; pass --yes"));
    }
    match terminal::is_confirmed(format!("Delete {what}?")).await? {
        true => Ok(()),
        false => Err(Failure::new(Exit::Other, "nothing was deleted")),
    }
}

pub(super) fn known<T: serde::de::DeserializeOwned>(item: Value) -> Result<T, Failure> {
    serde_json::from_value(item).map_err(|_| Failure::new(Exit::Other, "this version of keytile does not understand the list"))
}
