//! `keytile credentials add`: verifies values with their service, and stores them if they work.

use std::collections::BTreeMap;

use clap::Args;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{
    connection::Session,
    exit::{Exit, Failure, text},
    output::{print, print_json},
    secrets::{FieldsSchema, ValueArguments},
    terminal,
    text::{complain, plain},
};
use crate::{
    crypto::random,
    domain::time::{Clock, SystemClock},
};

/// A credential to be added.
#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The id of the connector, such as oauth2-client-credentials.
    #[arg(value_name = "CONNECTOR")]
    connector: String,

    /// The credential's name.
    #[arg(long, value_name = "NAME")]
    name: String,

    /// What the credential is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,

    #[command(flatten)]
    values: ValueArguments,
}

#[derive(Deserialize)]
struct Connector {
    name: String,
    fields_schema: FieldsSchema,
}

#[derive(Serialize)]
struct NewCredential<'a> {
    connector: &'a str,
    name: &'a str,
    description: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
}

pub(super) async fn run(session: &Session, arguments: &AddArguments) -> Result<(), Failure> {
    // Somebody who knows that a secret is asked for next may type it before.
    let hidden = terminal::hidden();
    let connector = connector(session, &arguments.connector).await?;
    let values = arguments.values.values(&connector.fields_schema.fields()).await?;
    drop(hidden);
    let body = NewCredential {
        connector: &arguments.connector,
        name: &arguments.name,
        description: &arguments.description,
        fields: values.iter().map(|(field, value)| (field.as_str(), value.expose_secret())).collect(),
    };
    let body = serde_json::to_vec(&body).map_err(|error| Failure::new(Exit::Other, error.to_string()))?;
    let once = once();
    let doing = format!("Verifying with {}", connector.name);
    let created = session.ask(&doing, session.client().create("credentials", body, &once)).await?;
    if session.json {
        return print_json(&created.text);
    }
    let credential: serde_json::Value = created.read().map_err(|error| session.failure(error))?;
    complain(&format!("“{}” was verified with {} and saved.", text(&credential, "name"), plain(&connector.name)));
    print(format!("{}\n", text(&credential, "id")).as_bytes())
}

/// A new idempotency key, with which a request takes effect once.
pub(super) fn once() -> String {
    random::new_id(SystemClock.now()).to_string()
}

/// The name of a connector, for progress messages.
pub(super) async fn connector_name(session: &Session, id: &str) -> String {
    connector(session, id).await.map_or_else(|_| id.to_owned(), |connector| connector.name)
}

async fn connector(session: &Session, id: &str) -> Result<Connector, Failure> {
    // Anything else could lead to another path of the API.
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let path = format!("connectors/{id}");
    let read =
        if is_id { session.ask("Reading the connector", session.client().get(&path, &[])).await.map(Some) } else { Ok(None) };
    match read {
        Ok(Some(answer)) => answer.read().map_err(|error| session.failure(error)),
        Err(failure) if failure.exit() != Exit::NotFound => Err(failure),
        Ok(None) | Err(_) => {
            let known = session.ask("Listing the connectors", session.client().get("connectors", &[])).await?;
            let known: serde_json::Value = known.read().map_err(|error| session.failure(error))?;
            let ids: Vec<String> = known["items"].as_array().into_iter().flatten().map(|connector| text(connector, "id")).collect();
            Err(Failure::new(
                Exit::NotFound,
                format!("there is no connector {:?}; the connectors are {}", plain(id), ids.join(", ")),
            ))
        }
    }
}
