//! `keytile audit`: checks the hash chain of the audit trail, and exports the trail as JSON Lines. Both work while
//! a server runs.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use clap::{Args, Subcommand};

use crate::{
    app::open_service,
    config::StorageConfig,
    domain::{
        audit::chain::ChainPoint,
        time::{SystemClock, Timestamp},
    },
    service::{Service, ServiceError, access::caller::Caller, audit::trail::AuditFilter},
};

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Check the chain of the audit trail for events that were changed, removed or added outside Keytile. Exits with 0
    /// if the chain holds, 1 if not.
    Verify(VerifyArguments),
    /// Write events to standard output as JSON Lines, oldest first.
    Export(ExportArguments),
}

/// The settings of `keytile audit verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    storage: StorageConfig,

    /// An event from earlier output of this command, or from the log. The trail must still contain it.
    #[arg(long, value_name = "SEQ:HASH")]
    expect: Option<ChainPoint>,
}

/// The settings of `keytile audit export`.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    storage: StorageConfig,

    /// Leave out earlier events: a date, or a date and time, in UTC or with an offset (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = beginning)]
    from: Option<Timestamp>,

    /// Leave out later events, in the same format. A date includes the whole day.
    #[arg(long, value_name = "TIME", value_parser = end)]
    to: Option<Timestamp>,
}

pub(super) async fn run(command: &AuditCommand) -> Result<(), String> {
    let storage = match command {
        AuditCommand::Verify(arguments) => &arguments.storage,
        AuditCommand::Export(arguments) => &arguments.storage,
    };
    has_database(storage)?;
    let service = open_service(storage, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    let result = match command {
        AuditCommand::Verify(arguments) => verify(&service, arguments.expect).await,
        AuditCommand::Export(arguments) => export(&service, arguments).await,
    };
    service.close().await;
    result
}

async fn verify(service: &Service, expected: Option<ChainPoint>) -> Result<(), String> {
    let checked = service.check_audit(&Caller::server("keytile audit verify"), expected).await.map_err(words)?;
    let last = checked.map_err(|broken| format!("the chain of the audit trail is broken: {broken}"))?;
    let events = if last.seq == 1 { "1 event".to_owned() } else { format!("{} events", last.seq) };
    println!("{events}, the chain holds. Last event: {last}");
    Ok(())
}

async fn export(service: &Service, arguments: &ExportArguments) -> Result<(), String> {
    let filter = AuditFilter { from: arguments.from, until: arguments.to, ..AuditFilter::default() };
    let mut export = service.export_audit(&Caller::server("keytile audit export"), &filter).await.map_err(words)?;
    let mut output = io::stdout().lock();
    while let Some(lines) = export.next().await.map_err(words)? {
        output.write_all(&lines).map_err(|error| format!("standard output: {error}"))?;
    }
    output.flush().map_err(|error| format!("standard output: {error}"))
}

/// Refuses if there is no database yet: opening would create one, whose empty trail passes the check.
fn has_database(storage: &StorageConfig) -> Result<(), String> {
    let database = storage.database();
    let Some(path) = database.expose().strip_prefix("sqlite:") else { return Ok(()) };
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    if path.exists() {
        return Ok(());
    }
    let setting = if storage.database_url.is_some() { "--database-url" } else { "--data-dir" };
    Err(format!("{setting}: there is no database at {}", path.display()))
}

fn words(error: ServiceError) -> String {
    match error {
        ServiceError::Store(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

fn beginning(text: &str) -> Result<Timestamp, String> {
    moment(text).map(|(at, _)| at)
}

fn end(text: &str) -> Result<Timestamp, String> {
    moment(text).map(|(at, exact)| at.plus(exact))
}

fn moment(text: &str) -> Result<(Timestamp, std::time::Duration), String> {
    Timestamp::parse_utc(text).ok_or_else(|| "expected a time such as 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}
