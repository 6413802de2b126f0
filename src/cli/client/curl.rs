//! `keytile curl`: a request through the proxy, like one from a pipeline. The response body streams to its
//! destination; Keytile's own messages go to standard error.

use std::{cell::Cell, io, os::fd::AsFd, path::PathBuf};

use clap::Args;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{
    connection::{Connection, Session},
    exit::{Exit, Failure},
    find::{self, Thing},
    output::unwritable,
    progress,
    text::{complain, is_shown},
};
use crate::client::{ForwardAnswer, ForwardBody, ForwardRequest};

/// The settings of `keytile curl`.
#[derive(Debug, Args)]
pub(crate) struct CurlArguments {
    /// The source or destination: its id, or its name if the name is unique.
    #[arg(value_name = "RESOURCE")]
    resource: String,

    /// The path below the API's base URL, with a query if you need one, such as /users?page=1.
    #[arg(value_name = "PATH")]
    path: String,

    /// The method. By default, POST if there is a body, GET otherwise.
    #[arg(long = "request", short = 'X', value_name = "METHOD")]
    method: Option<String>,

    /// A header to send. Can be repeated. Keytile adds the service's credentials itself.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// The body: text, @FILE, or - for standard input. It's marked as JSON unless you set a header.
    #[arg(long, short, value_name = "DATA|@FILE|-", allow_hyphen_values = true)]
    data: Option<String>,

    /// Print the response's status and headers before its body.
    #[arg(long, short)]
    include: bool,

    /// Write the response to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn run(arguments: &CurlArguments) -> Result<(), Failure> {
    if arguments.path.contains("://") {
        return Err(Failure::usage("PATH is the part after the API's base URL, such as /users; Keytile adds the rest"));
    }
    let session = Session::new(&arguments.connection)?;
    let resource = find::id(&session, Thing::Resource, &arguments.resource).await?;
    let request = arguments.request(resource);
    let answer = session.ask("Waiting for the service", session.client().forward(request)).await?;
    let status = answer.status();
    receive(&session, arguments, answer).await?;
    if status >= 400 {
        // The body on standard output contains the details.
        if !arguments.connection.json {
            complain(&format!("keytile: the service responded with status {status}"));
        }
        return Err(Failure::silent(Exit::ServiceAnswered));
    }
    Ok(())
}

impl CurlArguments {
    fn request(&self, resource: uuid::Uuid) -> ForwardRequest {
        let body = match self.data.as_deref() {
            None => ForwardBody::None,
            Some("-") => ForwardBody::StandardInput,
            Some(data) => match data.strip_prefix('@') {
                Some(path) => ForwardBody::File(path.into()),
                None => ForwardBody::Text(data.to_owned()),
            },
        };
        let default = if self.data.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(default).to_uppercase();
        ForwardRequest { resource, path: self.path.clone(), method, headers: self.headers.clone(), body }
    }
}

/// Writes the response to its destination, piece by piece.
async fn receive(session: &Session, arguments: &CurlArguments, mut answer: ForwardAnswer) -> Result<(), Failure> {
    let mut output = match &arguments.output {
        Some(path) => {
            let file = File::create(path).await;
            file.map_err(|error| Failure::usage(format!("--output: {} cannot be written: {error}", path.display())))?
        }
        // As a file, whose writes happen on another thread, so that Ctrl-C works while the reader is slow.
        None => match io::stdout().as_fd().try_clone_to_owned() {
            Ok(output) => File::from_std(output.into()),
            Err(error) => return unwritable(&error),
        },
    };
    let head = if arguments.include { answer.head() } else { Vec::new() };
    let received = Cell::new(0_u64);
    let work = async {
        let mut written = write(&mut output, &head).await;
        while written.is_ok() {
            let Some(piece) = answer.piece().await.map_err(|error| session.failure(error))? else { break };
            written = write(&mut output, piece.as_ref()).await;
            received.set(received.get() + piece.as_ref().len() as u64);
        }
        match written.and(output.flush().await) {
            Ok(()) => Ok(()),
            Err(error) => unwritable(&error),
        }
    };
    // If the body goes to the terminal, a progress line would overwrite it.
    if arguments.output.is_none() && is_shown() {
        return work.await;
    }
    progress::watch(work, |seconds| format!("Receiving… {:.1} MiB, {seconds} s", received.get() as f64 / f64::from(1 << 20))).await
}

async fn write(output: &mut File, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() { Ok(()) } else { output.write_all(bytes).await }
}
