//! `keytile token`: prints an access token of a source or destination, for a client that calls the service itself.

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    connection::{Connection, Session},
    exit::Failure,
    find::{self, Thing},
    output::{print, print_json},
    text::{complain, is_shown},
};

/// The settings of `keytile token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// The source or destination: its id, or its name if the name is unique.
    #[arg(value_name = "RESOURCE")]
    resource: String,

    /// The minimum number of seconds that the token must still be valid.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    min_validity: u64,

    /// Print the whole header, for `curl -H @-`.
    #[arg(long)]
    header: bool,

    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    header: Header,
    seconds_left: u64,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

pub(super) async fn run(arguments: &TokenArguments) -> Result<(), Failure> {
    let session = Session::new(&arguments.connection)?;
    let id = find::id(&session, Thing::Resource, &arguments.resource).await?;
    let body = json!({ "min_validity": arguments.min_validity }).to_string().into_bytes();
    let answer = session.ask("Getting an access token", session.client().post(&format!("resources/{id}/token"), body)).await?;
    if session.json {
        return print_json(&answer.text);
    }
    let token: Token = answer.read().map_err(|error| session.failure(error))?;
    if is_shown() {
        let left = token.seconds_left;
        complain(&format!(
            "This is a secret, valid for {left} s. You can pass it on without showing it: keytile token --header … | curl -H @- …"
        ));
    }
    let line = match arguments.header {
        true => Zeroizing::new(format!("{}: {}\n", token.header.name, token.header.value)),
        false => Zeroizing::new(format!("{}\n", token.access_token)),
    };
    print(line.as_bytes())
}
