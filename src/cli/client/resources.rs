//! `keytile resources`: sources and destinations over the API.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    add_credential::once,
    connection::{Connection, Session},
    credentials::{confirm, known},
    exit::{Failure, text},
    find::{self, Thing},
    output::{print, print_json, print_pairs, print_table},
    secrets::assignment,
    text::{complain, plain},
};

/// The settings of `keytile resources`.
#[derive(Debug, Args)]
pub(crate) struct ResourcesArguments {
    #[command(subcommand)]
    command: ResourcesCommand,

    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Debug, Subcommand)]
enum ResourcesCommand {
    /// Create a source or destination. Prints its id.
    Add(Box<AddArguments>),
    /// List sources and destinations, newest first.
    #[command(visible_alias = "ls")]
    List {
        /// Only sources, or only destinations.
        #[arg(long, value_name = "KIND", value_parser = KINDS)]
        kind: Option<String>,
    },
    /// Show a source or destination, with its endpoint and egress policy.
    Show(Called),
    /// Delete a source or destination. Its credential stays.
    Rm {
        #[command(flatten)]
        called: Called,
        /// Don't ask for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
}

const KINDS: [&str; 2] = ["source", "destination"];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// One source or destination.
#[derive(Debug, Args)]
struct Called {
    /// Its id, or its name if the name is unique.
    #[arg(value_name = "RESOURCE")]
    resource: String,
}

/// A source or destination to be created.
#[derive(Debug, Args)]
struct AddArguments {
    /// Whether data is read from it (source) or written to it (destination).
    #[arg(long, value_name = "KIND", value_parser = KINDS)]
    kind: String,

    /// Its name.
    #[arg(long, value_name = "NAME")]
    name: String,

    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,

    /// The credential to use: its id, or its name if the name is unique.
    #[arg(long, value_name = "CREDENTIAL")]
    credential: String,

    /// The name of an endpoint that the connector offers.
    #[arg(long, value_name = "NAME", required_unless_present = "path", conflicts_with_all = ["path", "method"])]
    offer: Option<String>,

    /// The method of a custom endpoint.
    #[arg(long, value_name = "METHOD", value_parser = METHODS, requires = "path", ignore_case = true)]
    method: Option<String>,

    /// The path of a custom endpoint, below the API's base URL.
    #[arg(long, value_name = "PATH", requires = "method")]
    path: Option<String>,

    /// A query parameter of the endpoint, not encoded. Can be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    query: Vec<(String, String)>,

    /// A method to allow. Can be repeated. The default depends on the kind.
    #[arg(long, value_name = "METHOD", value_parser = METHODS, ignore_case = true)]
    allow_method: Vec<String>,

    /// A path prefix to allow, such as `/users`. Can be repeated. By default, all paths are allowed.
    #[arg(long, value_name = "PREFIX")]
    allow_prefix: Vec<String>,

    /// The largest request body to allow, in MiB.
    #[arg(long, value_name = "MIB")]
    max_body: Option<u64>,

    /// How many requests to allow per minute, for each Keytile instance.
    #[arg(long, value_name = "NUMBER")]
    per_minute: Option<u64>,

    /// How many times to resend a request that's safe to repeat.
    #[arg(long, value_name = "NUMBER")]
    retries: Option<u64>,
}

/// A source or destination in an API response.
#[derive(Deserialize)]
struct Resource {
    id: Uuid,
    kind: String,
    name: String,
    description: String,
    connector: String,
    credential: Uuid,
    credential_name: String,
    credential_status: String,
    endpoint: Option<Endpoint>,
    policy: Option<Policy>,
    created_at: String,
}

#[derive(Deserialize)]
struct Endpoint {
    method: String,
    path: String,
    query: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Policy {
    methods: Vec<String>,
    prefixes: Vec<String>,
    body_mib: u64,
    per_minute: Option<u64>,
    retries: u64,
}

pub(super) async fn run(arguments: &ResourcesArguments) -> Result<(), Failure> {
    let session = Session::new(&arguments.connection)?;
    match &arguments.command {
        ResourcesCommand::Add(add) => create(&session, add).await,
        ResourcesCommand::List { kind } => list(&session, kind.as_deref()).await,
        ResourcesCommand::Show(called) => show(&session, &called.resource).await,
        ResourcesCommand::Rm { called, yes } => remove(&session, &called.resource, *yes).await,
    }
}

async fn create(session: &Session, arguments: &AddArguments) -> Result<(), Failure> {
    let credential = find::id(session, Thing::Credential, &arguments.credential).await?;
    let body = arguments.body(credential).to_string().into_bytes();
    let once = once();
    let created = session.ask("Creating it", session.client().create("resources", body, &once)).await?;
    if session.json {
        return print_json(&created.text);
    }
    let resource: Value = created.read().map_err(|error| session.failure(error))?;
    complain(&format!("The {} “{}” was created.", text(&resource, "kind"), text(&resource, "name")));
    print(format!("{}\n", text(&resource, "id")).as_bytes())
}

impl AddArguments {
    fn body(&self, credential: Uuid) -> Value {
        let upper = |words: &[String]| words.iter().map(|word| word.to_uppercase()).collect::<Vec<_>>();
        let mut endpoint = Map::new();
        let mut policy = Map::new();
        fn put(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        }
        put(&mut endpoint, "offer", self.offer.clone().map(Value::from));
        put(&mut endpoint, "method", self.method.as_ref().map(|method| method.to_uppercase().into()));
        put(&mut endpoint, "path", self.path.clone().map(Value::from));
        let query: Vec<Value> = self.query.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        put(&mut endpoint, "query", (!query.is_empty()).then(|| query.into()));
        put(&mut policy, "methods", (!self.allow_method.is_empty()).then(|| upper(&self.allow_method).into()));
        put(&mut policy, "prefixes", (!self.allow_prefix.is_empty()).then(|| self.allow_prefix.clone().into()));
        put(&mut policy, "body_mib", self.max_body.map(Value::from));
        put(&mut policy, "per_minute", self.per_minute.map(Value::from));
        put(&mut policy, "retries", self.retries.map(Value::from));
        let mut body = json!({
            "kind": self.kind,
            "name": self.name,
            "description": self.description,
            "credential": credential,
            "endpoint": endpoint,
        });
        if !policy.is_empty() {
            body["policy"] = policy.into();
        }
        body
    }
}

async fn list(session: &Session, kind: Option<&str>) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> = kind.map(|kind| ("kind", kind)).into_iter().collect();
    let items = session.ask("Listing sources and destinations", session.client().all("resources", &query)).await?;
    if session.json {
        return print_json(json!({ "items": items, "next_cursor": null }).to_string().as_bytes());
    }
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let found: Resource = known(item)?;
        rows.push(
            [&found.id.to_string(), &found.kind, &found.connector, &found.name, &found.credential_name].map(|cell| plain(cell)),
        );
    }
    print_table(["ID", "KIND", "CONNECTOR", "NAME", "CREDENTIAL"], [false, false, true, true, true], &rows)
}

async fn show(session: &Session, called: &str) -> Result<(), Failure> {
    let id = find::id(session, Thing::Resource, called).await?;
    let answer = session.ask("Reading it", session.client().get(&format!("resources/{id}"), &[])).await?;
    if session.json {
        return print_json(&answer.text);
    }
    let found: Resource = answer.read().map_err(|error| session.failure(error))?;
    let mut pairs = vec![
        ("Name", plain(&found.name)),
        ("Id", found.id.to_string()),
        ("Kind", plain(&found.kind)),
        ("Connector", plain(&found.connector)),
        ("Credential", format!("{} ({}), {}", plain(&found.credential_name), found.credential, plain(&found.credential_status))),
        ("Description", plain(&found.description)),
        ("Created", plain(&found.created_at)),
    ];
    match &found.endpoint {
        Some(endpoint) => {
            let query: Vec<String> =
                endpoint.query.iter().map(|one| format!("{}={}", plain(&one.name), plain(&one.value))).collect();
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            pairs.push(("Endpoint", format!("{} {}{query}", plain(&endpoint.method), plain(&endpoint.path))));
        }
        None => pairs.push(("Problem", "its stored values can't be opened; ask your Keytile administrator to check it".into())),
    }
    if let Some(policy) = &found.policy {
        pairs.push(("Allowed methods", plain(&policy.methods.join(", "))));
        pairs.push(("Allowed paths", plain(&policy.prefixes.join(", "))));
        pairs.push(("Max body", format!("{} MiB", policy.body_mib)));
        pairs.push(("Per minute", policy.per_minute.map_or_else(|| "no limit".into(), |count| format!("{count} requests"))));
        pairs.push(("Retries", policy.retries.to_string()));
    }
    pairs.retain(|(_, value)| !value.is_empty());
    print_pairs(&pairs)
}

async fn remove(session: &Session, called: &str, yes: bool) -> Result<(), Failure> {
    let id = find::id(session, Thing::Resource, called).await?;
    let path = format!("resources/{id}");
    let answer = session.ask("Reading it", session.client().get(&path, &[])).await?;
    let found: Resource = answer.read().map_err(|error| session.failure(error))?;
    let what = format!("the {} “{}” ({}, {id})", plain(&found.kind), plain(&found.name), plain(&found.connector));
    confirm(yes, &what).await?;
    // The `ETag` makes sure that what the user confirmed is what is deleted.
    session.ask("Deleting it", session.client().delete(&path, answer.etag.as_ref())).await?;
    if !session.json {
        complain(&format!("Deleted {what}."));
    }
    Ok(())
}
