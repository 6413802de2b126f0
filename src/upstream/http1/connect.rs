//! Opens a connection to the host of an API: tries its addresses one after the other, then starts TLS, unless a pin
//! of the operator says that the address has none.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    domain::credentials::verification::Stage,
    upstream::{
        client::fault::{Fault, FaultKind},
        egress::{pin::EgressPin, resolver::Names},
    },
};

/// How long one address is tried before the next.
const EACH: Duration = Duration::from_secs(2);

/// An open connection.
pub(in crate::upstream) enum Link {
    Tls(Box<TlsStream<TcpStream>>),
    /// Without TLS, as a pin says.
    Clear(TcpStream),
}

/// Connects within `limit`.
pub(in crate::upstream) async fn connect(
    names: &Arc<Names>,
    tls: &TlsConnector,
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<Link, Fault> {
    let end = Instant::now() + limit;
    let in_time = |stage| move |_| Fault::timed_out(stage);
    let found = timeout_at(end, addresses(names, host, port)).await.map_err(in_time(Stage::Address))?;
    let found = found.map_err(|fault| Fault { stage: Stage::Address, kind: FaultKind::Name(fault) })?;
    let stream = timeout_at(end, first(&found)).await.map_err(in_time(Stage::Connection))?;
    let stream = stream.map_err(|error| Fault::of_io(Stage::Connection, &error))?;
    if names.pinned(host).is_some_and(EgressPin::is_clear) {
        return Ok(Link::Clear(stream));
    }
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let name = name.map_err(|_| Fault { stage: Stage::Tls, kind: FaultKind::Internal })?;
    let secured = timeout_at(end, tls.connect(name, stream)).await.map_err(in_time(Stage::Tls))?;
    secured.map(|stream| Link::Tls(Box::new(stream))).map_err(|error| Fault::of_io(Stage::Tls, &error))
}

async fn addresses(names: &Names, host: &str, port: u16) -> Result<Vec<SocketAddr>, crate::upstream::egress::resolver::NameFault> {
    if names.pinned(host).is_none()
        && let Ok(address) = host.trim_matches(['[', ']']).parse()
    {
        return Ok(vec![SocketAddr::new(names.check(address)?, port)]);
    }
    let mut found = names.addresses(host).await?;
    for address in found.iter_mut().filter(|address| address.port() == 0) {
        address.set_port(port);
    }
    Ok(found)
}

/// Connects to the first address that accepts. Each but the last has its own time limit, so that an address that
/// drops packets doesn't use up the time for the others.
async fn first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (index, address) in addresses.iter().enumerate() {
        let connecting = TcpStream::connect(*address);
        let connected = match index + 1 == addresses.len() {
            true => connecting.await,
            false => timeout(EACH, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        };
        match connected {
            // Each write is a complete piece, so Nagle's algorithm would only delay it.
            Ok(stream) => return stream.set_nodelay(true).map(|()| stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
