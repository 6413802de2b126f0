//! `keytile sandbox`: runs only the sandbox, and prints the settings with which a Keytile reaches it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;

use super::signals::asked_to_stop;
use crate::{app::sandbox_pins, domain::time::SystemClock, sandbox::Sandbox};

/// The settings of `keytile sandbox`.
#[derive(Debug, Args)]
pub(super) struct SandboxArguments {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// Where to write the sandbox's certificate authority (PEM), for `--extra-ca`.
    #[arg(long, value_name = "FILE", default_value = "keytile-sandbox-ca.pem")]
    ca_file: PathBuf,
}

pub(super) async fn run(arguments: &SandboxArguments) -> Result<(), String> {
    if !arguments.listen.ip().is_loopback() {
        return Err(format!("--listen: {} is not a loopback address; the sandbox is for this machine only", arguments.listen));
    }
    let stop = asked_to_stop();
    let started = Sandbox::start(arguments.listen, Arc::new(SystemClock)).await;
    let sandbox = started.map_err(|error| format!("--listen: cannot listen on {}: {error}", arguments.listen))?;
    let written = std::fs::write(&arguments.ca_file, sandbox.ca_pem());
    written.map_err(|error| format!("--ca-file: {} cannot be written: {error}", arguments.ca_file.display()))?;
    println!("The sandbox is listening on {}. Start Keytile with:", sandbox.address());
    let pins: Vec<String> = sandbox_pins(&sandbox).into_iter().map(|pin| format!("--egress-pin '{pin}'")).collect();
    println!("keytile serve --extra-ca {} {}", arguments.ca_file.display(), pins.join(" "));
    stop.await;
    sandbox.stop().await;
    Ok(())
}
