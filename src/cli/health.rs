//! `keytile health`: asks a running Keytile on this machine whether it is ready. Used as the health check of
//! the container image, which holds no other program that could ask.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(3);

/// The settings of `keytile health`.
#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// The address that Keytile listens on.
    #[arg(long, env = "KEYTILE_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8440")]
    listen: SocketAddr,
}

pub(super) async fn run(arguments: &HealthArguments) -> Result<(), String> {
    let address = arguments.listen;
    let asked =
        timeout(PATIENCE, ask(address)).await.map_err(|_| format!("{address} did not answer within {} s", PATIENCE.as_secs()))?;
    let status = asked.map_err(|error| format!("{address}: {error}"))?;
    if status.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(format!("{address} answered {}", status.trim())) }
}

/// The status line of `/readyz`.
async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(1_024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}
