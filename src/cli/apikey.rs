//! `keytile apikey`: creates, lists and revokes API keys on the server, also while Keytile runs.
//!
//! A new key is the only text on standard output, so that it can be piped to where it is stored; messages go to
//! standard error.

use std::{
    io::{self, Write},
    sync::Arc,
};

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::{
    app::existing_service,
    config::StorageConfig,
    domain::{
        api_keys::Scope,
        time::{SystemClock, Timestamp},
    },
    service::{
        Service,
        access::caller::Caller,
        api_keys::{KeyCreation, KeyState, KeySummary, RawApiKey},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum ApiKeyCommand {
    /// Create a key and print it on standard output. It can't be shown again.
    Add(AddArguments),
    /// List keys, newest first, one per line: id, first characters, name, account, scopes, expiry, last use, status.
    List(StorageConfig),
    /// Revoke a key permanently.
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The key's name.
    #[arg(long, value_name = "NAME")]
    name: String,

    /// A scope for the key. Can be repeated.
    #[arg(long, value_name = "SCOPE", required = true, value_parser = Scope::ALL.map(Scope::as_str))]
    scope: Vec<String>,

    /// The id of a resource that the key works for. Can be repeated. Without it, the key works for all resources that
    /// its account can use.
    #[arg(long, value_name = "ID")]
    resource: Vec<String>,

    /// When the key expires: a number of days, or a date such as 2027-01-31. Never by default.
    #[arg(long, value_name = "DAYS|DATE", default_value = "never", hide_default_value = true)]
    expires: String,

    /// The email address of the account that the key acts as.
    #[arg(long, value_name = "EMAIL")]
    owner: String,

    #[command(flatten)]
    storage: StorageConfig,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    /// The key's id, as shown by `keytile apikey list`.
    #[arg(value_name = "ID")]
    id: Uuid,

    #[command(flatten)]
    storage: StorageConfig,
}

pub(super) async fn run(command: &ApiKeyCommand) -> Result<(), String> {
    let storage = match command {
        ApiKeyCommand::Add(arguments) => &arguments.storage,
        ApiKeyCommand::List(storage) => storage,
        ApiKeyCommand::Revoke(arguments) => &arguments.storage,
    };
    let service = existing_service(storage, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    let result = match command {
        ApiKeyCommand::Add(arguments) => add(&service, arguments).await,
        ApiKeyCommand::List(_) => list(&service).await,
        ApiKeyCommand::Revoke(arguments) => revoke(&service, arguments.id).await,
    };
    service.close().await;
    result
}

async fn add(service: &Service, arguments: &AddArguments) -> Result<(), String> {
    let raw = RawApiKey {
        owner: arguments.owner.clone(),
        name: arguments.name.clone(),
        scopes: arguments.scope.clone(),
        restricted: !arguments.resource.is_empty(),
        resources: arguments.resource.clone(),
        expires: arguments.expires.clone(),
    };
    let caller = Caller::server("keytile apikey add");
    let made = service.create_api_key(&caller, service.new_form(), &raw).await.map_err(|error| error.to_string())?;
    let (id, key) = match made {
        KeyCreation::Created { id, key } => (id, key),
        KeyCreation::AlreadyMade(id) => return Err(format!("the key {id} was already created")),
        KeyCreation::Invalid(errors) => {
            let sentences: Vec<String> = errors.iter().map(|error| format!("{}: {}", flag(&error.field), error.message)).collect();
            return Err(sentences.join("\n         "));
        }
    };
    if writeln!(io::stdout(), "{}", key.expose()).is_err() {
        // A key that couldn't be printed is useless and must not stay valid.
        let caller = Caller::server("keytile apikey add");
        service.revoke_api_key(&caller, id).await.map_err(|error| error.to_string())?;
        return Err("the key could not be printed, so it was revoked".to_owned());
    }
    eprintln!("Created API key {id}. It can't be shown again.");
    Ok(())
}

/// The flag for a field of the service.
fn flag(field: &str) -> &'static str {
    match field {
        "owner" => "--owner",
        "scopes" => "--scope",
        "resources" => "--resource",
        "expires" => "--expires",
        _ => "--name",
    }
}

async fn list(service: &Service) -> Result<(), String> {
    let caller = Caller::server("keytile apikey list");
    let mut after = None;
    loop {
        let page = service.api_keys(&caller, after).await.map_err(|error| error.to_string())?;
        for key in &page.keys {
            if writeln!(io::stdout(), "{}", line(key)).is_err() {
                // The reader of the list has read enough.
                return Ok(());
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// A key as columns separated by tabs, which names can't contain.
fn line(key: &KeySummary) -> String {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), in_utc);
    let state = match key.state {
        KeyState::Active => "active",
        KeyState::Revoked(_) => "revoked",
        KeyState::Expired => "expired",
        KeyState::OwnerDisabled => "account disabled",
    };
    let reach = if key.restricted { " (some resources)" } else { "" };
    let scopes = format!("{}{reach}", key.scopes.to_words());
    let (expires, used) = (time(key.expires_at), time(key.last_used_at));
    let id = key.id.to_string();
    [id.as_str(), &key.hint, &key.name, &key.owner.email, &scopes, &expires, &used, state].join("\t")
}

/// A time in RFC 3339 format, to the second.
fn in_utc(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_millis().div_euclid(1_000)).map_or_else(|_| "far away".to_owned(), |point| point.to_string())
}

async fn revoke(service: &Service, id: Uuid) -> Result<(), String> {
    let caller = Caller::server("keytile apikey revoke");
    if !service.revoke_api_key(&caller, id).await.map_err(|error| error.to_string())? {
        return Err(format!("there is no API key {id}; `keytile apikey list` shows all keys"));
    }
    eprintln!("Revoked API key {id}.");
    Ok(())
}
