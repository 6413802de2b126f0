//! A relay that only copies, without HTTP and checks. Its throughput is what this machine allows anything between a
//! client and a service.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// The size of a read, in bytes.
const AT_ONCE: usize = 256 * 1024;

/// Starts a relay to `service` in this process, which runs until the process ends.
pub(super) fn start(service: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // The measurement notices missing responses.
            let _ = relay(client, service);
        }
    });
    Ok(address)
}

fn relay(client: TcpStream, service: SocketAddr) -> io::Result<()> {
    let service = TcpStream::connect(service)?;
    for stream in [&client, &service] {
        stream.set_nodelay(true)?;
    }
    let back = (service.try_clone()?, client.try_clone()?);
    thread::spawn(move || copy(client, service));
    thread::spawn(move || copy(back.0, back.1));
    Ok(())
}

/// Copies until one side has no more.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = vec![0; AT_ONCE];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
